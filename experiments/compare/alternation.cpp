#include "experiments/compare/alternation.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "framework/base/philox.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade::compare {
namespace {

constexpr int kLeastLook = 4;
constexpr std::size_t kMostLooks = 4;

// Cells whose verdict further rounds would not change: SAME, or sure whatever the others become.
bool is_decided(const ComparedCell& cell, std::size_t cells, const VerdictRule& rule) {
  if (!cell.estimate) return true;  // more runs do not make it one
  if (cell.verdict == Verdict::kSame) return true;
  return cell.verdict != Verdict::kUnclear &&
         static_cast<double>(cells) * cell.probability <= rule.error;
}

std::vector<std::int64_t> undecided_of(const std::vector<std::int64_t>& cells,
                                       const Comparison& comparison,
                                       const VerdictRule& rule) {
  std::set<std::int64_t> undecided;
  for (const ComparedCell& cell : comparison.cells) {
    if (is_decided(cell, comparison.cells.size(), rule)) continue;
    undecided.insert(cell.a->cell);
    undecided.insert(cell.b->cell);
  }
  std::vector<std::int64_t> left;
  std::copy_if(cells.begin(), cells.end(), std::back_inserter(left),
               [&](std::int64_t cell) { return undecided.count(cell) > 0; });
  return left;
}

// The rounds of all groups.
class Alternation {
 public:
  Alternation(const AlternationOptions& options,
              const RunCells& run_cells,
              const AlternationListener& listener,
              AlternatedRuns& runs)
      : options_(options), run_cells_(run_cells), listener_(listener), runs_(runs) {}

  // False when it is to end before the round's last group.
  bool run_round(int round, const std::vector<std::int64_t>& cells) {
    const auto first_run = static_cast<std::size_t>(2 * round);
    runs_.a.runs.resize(first_run + 2);
    runs_.b.runs.resize(first_run + 2);
    std::uint64_t group = 0;
    for (std::size_t begin = 0; begin < cells.size(); begin += options_.group, ++group) {
      if (watch_.elapsed_ms() > options_.most_ms) return false;
      listener_.on_turn(round + 1, cells.size());
      const std::vector<std::int64_t> chosen(
          cells.begin() + static_cast<std::ptrdiff_t>(begin),
          cells.begin() +
              static_cast<std::ptrdiff_t>(std::min(cells.size(), begin + options_.group)));
      std::array<std::size_t, 2> next = {first_run, first_run};
      for (const Build build : order_of(options_.seed, static_cast<std::uint64_t>(round), group)) {
        if (listener_.is_stopped()) return false;
        const std::size_t run = next[static_cast<std::size_t>(build)]++;
        std::vector<CellResult> results = run_cells_(build, run, chosen);
        std::vector<CellResult>& kept = (build == Build::kA ? runs_.a : runs_.b).runs[run].cells;
        std::move(results.begin(), results.end(), std::back_inserter(kept));
      }
    }
    return !listener_.is_stopped();
  }

 private:
  const AlternationOptions& options_;
  const RunCells& run_cells_;
  const AlternationListener& listener_;
  AlternatedRuns& runs_;
  Stopwatch watch_;
};

}  // namespace

std::vector<int> looks_of(int rounds) {
  std::vector<int> looks = {rounds};
  while (looks.size() < kMostLooks && looks.front() / 2 >= kLeastLook) {
    looks.insert(looks.begin(), looks.front() / 2);
  }
  return looks;
}

std::array<Build, 4> order_of(std::uint64_t seed, std::uint64_t round, std::uint64_t group) {
  const std::uint32_t word =
      philox({static_cast<std::uint32_t>(round), static_cast<std::uint32_t>(group), 0, 0},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)})[0];
  const Build outer = (word >> 31) == 0 ? Build::kA : Build::kB;
  const Build inner = outer == Build::kA ? Build::kB : Build::kA;
  return {outer, inner, inner, outer};
}

AlternatedRuns alternate(const std::vector<std::int64_t>& cells,
                         const AlternationOptions& alternation,
                         const CompareOptions& options,
                         const RunCells& run_cells,
                         const AlternationListener& listener) {
  AlternatedRuns runs{.a = {.name = "A", .runs = {}}, .b = {.name = "B", .runs = {}}};
  Alternation rounds(alternation, run_cells, listener, runs);
  std::vector<std::int64_t> left = cells;
  for (const int look : looks_of(alternation.rounds)) {
    while (runs.rounds < look && !left.empty()) {
      if (!rounds.run_round(runs.rounds, left)) {
        runs.is_cut = true;
        return runs;
      }
      ++runs.rounds;
    }
    left = undecided_of(left, compare_sides(runs.a, runs.b, options), options.rule);
  }
  return runs;
}

}  // namespace maskerade::compare
