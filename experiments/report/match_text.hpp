#pragma once

#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// Whether a parameter was searched and the target was not reached within its tolerance.
bool missed_match(const CellResult& result);
// Whether it missed, and no two values of the parameter have the target between them.
bool is_unreachable(const CellResult& result);

// A value of a quantity that can be matched, with its unit: "10.6 %", "1.20e6 bytes", "2.50 ms".
std::string quantity_text(MatchQuantity quantity, double value);
// The same of a target, as short as it was written: "10 %".
std::string target_text(const MatchFacts& match);

// One sentence on the search for the value of a parameter that gives a quantity its target; it
// requires match.found:
//   matched: density 10.0 % at oracle_topk.budget 328 (7 probes in 12.5 ms, not counted)
//   not matched: 10.6 % instead of 10 % (density, nearest at oracle_topk.budget 328; 7 probes ...)
//   unreachable: 5.12 % instead of 10 % (density, between 2.00 % and 5.12 %, nearest at ...; ...)
std::string match_text(const MatchFacts& match);

// What the probes of a search took: "7 probes in 12.5 ms, not counted".
std::string effort_text(std::int64_t probes, double search_ms);
// Where all probes of a search lie: "between 2.00 % and 5.12 %".
std::string range_text(const MatchFacts& match);

}  // namespace maskerade
