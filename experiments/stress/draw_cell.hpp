// Random cells of a stress test.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/stress/cell_checker.hpp"
#include "experiments/stress/stress_cell.hpp"

namespace maskerade::stress {

// A masker that cells are made with.
struct StressMasker {
  std::shared_ptr<const MaskerType> type;
  std::shared_ptr<const MaskerType> reference = nullptr;  // see GivenMasker
};

// The texts of which the value of a parameter is drawn; none where its table bounds none, a file or
// a text.
std::vector<std::string> candidate_values(const maskerade_parameter& row);

// What of a cell is given and not drawn.
struct GivenOfCells {
  std::vector<GivenParameter> parameters = {};  // of each masker that has one of that name
  std::optional<AttentionShape> shape = {};
  std::int64_t layer = 0;
};

// The arguments of the command line that give it, with a space before each: " --set file=x.json".
std::string arguments_of(const GivenOfCells& given);

// Why cells with this masker cannot be drawn: it has a required parameter that no table bounds, a
// file or a text, and that is not given; "" when they can.
std::string why_left_out(const MaskerType& type, const GivenOfCells& given = {});

// What random cells are drawn from. At least one masker, none that why_left_out() names.
struct CellPopulation {
  std::uint64_t seed = 0;
  std::vector<StressMasker> maskers;
  GivenOfCells given = {};
  std::vector<std::string> devices = {"cpu"};  // backends
  int most_threads = 4;                        // of a cell
};

// A cell with what was found of it, or the reason why there is none of that number.
struct CheckedCell {
  std::int64_t number = 0;
  std::string row;  // of the table: the id of the masker, or the suite that it is about
  std::optional<StressCell> cell;
  std::int64_t refusals = 0;  // draws that the program refused
  std::string refusal;        // the text of the last one
  CellOutcome outcome;
};

// How often a cell is drawn until the program accepts it.
inline constexpr int kMostDraws = 40;

// Draws cell `number` of a population and checks it. The cell is a function of these two alone. It
// is about masker number % maskers.size(), behind up to three others. Parameters come from the
// maskers' tables: defaults, bounds, percentages, choices; the problem from rules::draw_problem(),
// no larger than what is checked in a moment.
//
// What the program refuses is drawn again: two samplers over one population, a masker that does not
// take a head_dim, or that fails. A masker that is refused something because it has not declared it
// is not drawn again but is the cell, alone.
CheckedCell draw_and_check(const CellPopulation& population,
                           std::int64_t number,
                           CellChecker& checker);

}  // namespace maskerade::stress
