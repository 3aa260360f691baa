// What a stress test and its workers say to each other. Each message is the bytes of a struct;
// reading throws Error on others.
#pragma once

#include <optional>
#include <string>

#include "experiments/stress/check_cell.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade::stress {

// A cell to check: all invariants, or one.
struct CheckRequest {
  StressCell cell;
  std::optional<Invariant> invariant = {};
};
std::string message_of(const CheckRequest& request);
// Maskers are found by id: `catalog` has each, `references` those that the cell has.
CheckRequest request_of(const std::string& message,
                        const Catalog& catalog,
                        const Catalog& references);

// The answers: to all invariants, and to one.
std::string message_of(const CellOutcome& outcome);
// cell: that was asked about.
CellOutcome outcome_of(const std::string& message, const StressCell& cell);
std::string message_of(const std::optional<rules::Violations>& found);
std::optional<rules::Violations> found_of(const std::string& message);

}  // namespace maskerade::stress
