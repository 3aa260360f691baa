#include "experiments/report/resume_notes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

namespace maskerade {
namespace {

constexpr const char* kGone = "the pipeline or its workload is no longer in the file";
// The reasons in the order in which they are told.
constexpr std::array<const char*, 9> kReasons = {"program",    "machine", "threads",
                                                 "cost model", "plugins", "parameters",
                                                 "data",       "check",   "data or check"};

bool have_same_data(const CellResult& a, const CellResult& b) {
  if (a.facts && b.facts) {
    const WorkloadFacts& one = *a.facts;
    const WorkloadFacts& other = *b.facts;
    if (!(one.shape == other.shape) || one.dtype != other.dtype || one.causal != other.causal ||
        one.source != other.source || one.layer != other.layer || one.scale != other.scale) {
      return false;
    }
  }
  return a.file == b.file && a.seed == b.seed && a.source_params == b.source_params &&
         a.queries == b.queries && a.query_seed == b.query_seed && a.decode_steps == b.decode_steps;
}

bool have_same_match(const CellResult& a, const CellResult& b) {
  if (a.match.has_value() != b.match.has_value()) return false;
  return !a.match ||
         (a.match->quantity == b.match->quantity && a.match->target == b.match->target &&
          a.match->tolerance == b.match->tolerance && a.match->parameter == b.match->parameter &&
          a.match->on_miss == b.match->on_miss);
}

// A search changes the parameter that it finds.
bool have_same_parameters(const CellResult& a, const CellResult& b) {
  if (!have_same_match(a, b) || a.routes != b.routes) return false;
  return a.match ? true : a.params == b.params;
}

bool have_same_check(const CellResult& a, const CellResult& b) {
  return a.tolerance == b.tolerance && a.measure_target == b.measure_target &&
         a.measure_budget_ms == b.measure_budget_ms && a.chunk_rows == b.chunk_rows;
}

}  // namespace

std::string interrupted_text(std::size_t done, std::size_t cells, bool has_folder) {
  return fmt::format("interrupted: {} of {} done; {}", done, cells,
                     has_folder ? "continue with --resume" : "with --out a run can be continued");
}

std::vector<OlderCell> older_cells_among(std::span<const CellResult> cells) {
  const auto names_of = [](const CellResult& cell) {
    return std::tie(cell.experiment, cell.workload, cell.pipeline, cell.device, cell.kernel,
                    cell.mask_seed);
  };
  std::map<decltype(names_of(cells.front())), const CellResult*> current;
  for (const CellResult& cell : cells) {
    if (cell.cell != CellResult::kNoNumber) current.emplace(names_of(cell), &cell);
  }
  std::vector<OlderCell> older;
  for (const CellResult& cell : cells) {
    if (cell.cell != CellResult::kNoNumber) continue;
    const auto found = current.find(names_of(cell));
    older.push_back({&cell, found == current.end() ? nullptr : found->second});
  }
  return older;
}

std::vector<std::string> differences_of(const OlderCell& cell) {
  if (cell.current == nullptr) return {kGone};
  const CellResult& a = *cell.older;
  const CellResult& b = *cell.current;
  const std::array<bool, 8> agree = {a.program_version == b.program_version,
                                     a.machine == b.machine,
                                     a.threads == b.threads,
                                     a.cost_model == b.cost_model,
                                     a.plugins == b.plugins,
                                     have_same_parameters(a, b),
                                     have_same_data(a, b),
                                     have_same_check(a, b)};
  std::vector<std::string> differences;
  for (std::size_t i = 0; i < agree.size(); ++i) {
    if (!agree[i]) differences.emplace_back(kReasons[i]);
  }
  if (differences.empty()) differences.emplace_back(kReasons.back());
  return differences;
}

std::string older_cells_text(std::span<const OlderCell> cells) {
  if (cells.empty()) return "";
  std::vector<std::string> all;
  for (const OlderCell& cell : cells) {
    for (std::string& reason : differences_of(cell)) all.push_back(std::move(reason));
  }
  const auto is_there = [&](const std::string& reason) {
    return std::find(all.begin(), all.end(), reason) != all.end();
  };
  std::string text;
  for (const char* reason : kReasons) {
    if (is_there(reason)) text += (text.empty() ? "" : ", ") + std::string(reason);
  }
  if (!text.empty()) text += " changed";
  if (is_there(kGone)) text += (text.empty() ? "" : "; ") + std::string(kGone);
  const bool is_one = cells.size() == 1;
  return fmt::format("{} older cell{} not match this run ({}) and {} kept with cell = NULL",
                     cells.size(), is_one ? " does" : "s do", text, is_one ? "is" : "are");
}

}  // namespace maskerade
