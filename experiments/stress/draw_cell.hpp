// Random cells of a stress test.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/stress/stress_cell.hpp"

namespace maskerade::stress {

// The texts of which the value of a parameter is drawn; none where its table bounds none, a file or
// a text.
std::vector<std::string> candidate_values(const maskerade_parameter& row);

// What of a cell is given and not drawn.
struct GivenOfCells {
  std::vector<GivenParameter> parameters = {};  // of each masker that has one of that name
  std::optional<AttentionShape> shape = {};
  std::int64_t layer = 0;
};

// Why cells with this masker cannot be drawn: it has a required parameter that no table bounds, a
// file or a text, and that is not given; "" when they can.
std::string why_left_out(const MaskerType& type, const GivenOfCells& given = {});

// A cell, or the reason why there is none of that number.
struct DrawnCell {
  std::optional<StressCell> cell;
  std::string subject;        // the id of the masker that the cell is about
  std::int64_t refusals = 0;  // draws that the program refused
  std::string refusal;        // the text of the last one
};

// How often a cell is drawn until the program accepts it.
inline constexpr int kMostDraws = 40;

// Cell `number` of a seed: a function of these two and of `maskers`, of which there is at least one
// and none that why_left_out() names. It is about masker number % maskers.size(), behind up to
// three others. Parameters come from the maskers' tables: defaults, bounds, percentages, choices;
// the problem from rules::draw_problem(), no larger than what is checked in a moment.
//
// What the program refuses is drawn again: two samplers over one population, a masker that does not
// take a head_dim, or that fails. A masker that is refused something because it has not declared it
// is not drawn again but is the cell, alone.
DrawnCell draw_cell(std::uint64_t seed,
                    std::int64_t number,
                    const std::vector<std::shared_ptr<const MaskerType>>& maskers,
                    const GivenOfCells& given = {});

}  // namespace maskerade::stress
