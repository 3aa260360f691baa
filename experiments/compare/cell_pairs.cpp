#include "experiments/compare/cell_pairs.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "framework/base/text.hpp"

namespace maskerade::compare {
namespace {

using Json = nlohmann::json;

template <typename Value>
Json json_of(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

// The parameters that the cell ran with, but for the one that a search found.
Json parameters_of(const CellResult& cell) {
  Json maskers = Json::array();
  for (const auto& [masker, values] : cell.params) {
    Json parameters = Json::array();
    for (const auto& [name, value] : values) {
      const bool is_found = cell.match && cell.match->parameter == masker + "." + name;
      if (!is_found) parameters.push_back({storable(name), storable(value)});
    }
    maskers.push_back({storable(masker), parameters});
  }
  return maskers;
}

Json facts_of(const CellResult& cell) {
  if (!cell.facts) return {};
  const WorkloadFacts& facts = *cell.facts;
  const AttentionShape& shape = facts.shape;
  return {shape.batch,          shape.query_heads, shape.kv_heads,
          shape.query_len,      shape.key_len,     shape.head_dim,
          name_of(facts.dtype), facts.causal,      storable(facts.source),
          facts.layer,          facts.scale};
}

std::string names_of(const CellResult& cell) {
  return Json{storable(cell.experiment), storable(cell.workload), storable(cell.pipeline)}.dump();
}

// What is left to name a cell by when its data is unknown.
std::string names_without_data(const CellResult& cell) {
  return Json{names_of(cell), cell.device, cell.kernel, cell.threads, json_of(cell.mask_seed)}
      .dump();
}

// The cells of a side, those of several runs that are the same as one.
std::vector<CellRuns> cells_of(const Side& side) {
  std::vector<CellRuns> cells;
  std::map<std::string, std::size_t> places;
  for (std::size_t run = 0; run < side.runs.size(); ++run) {
    std::map<std::string, int> seen;  // in this run
    for (const CellResult& cell : side.runs[run].cells) {
      std::string key = identity_of(cell) + names_of(cell);
      key += std::to_string(seen[key]++);
      const auto [place, is_new] = places.emplace(key, cells.size());
      if (is_new) cells.push_back({std::vector<const CellResult*>(side.runs.size())});
      cells[place->second].by_run[run] = &cell;
    }
  }
  return cells;
}

using Key = std::string (*)(const CellResult&);

// Moves those cells of both lists into pairs whose keys are equal. is_unique: only where either
// list has the key once.
void pair_by(Key key,
             bool is_unique,
             bool (*accepts)(const CellResult& a, const CellResult& b),
             std::vector<CellRuns>& a,
             std::vector<CellRuns>& b,
             std::vector<CellPair>& pairs) {
  std::map<std::string, std::vector<std::size_t>> places;  // in b
  for (std::size_t i = 0; i < b.size(); ++i) places[key(b[i].first())].push_back(i);
  std::map<std::string, int> uses;  // in a
  for (const CellRuns& cell : a) ++uses[key(cell.first())];
  std::vector<bool> is_taken(b.size());
  std::vector<CellRuns> left;
  for (CellRuns& cell : a) {
    const std::string wanted = key(cell.first());
    std::vector<std::size_t>& found = places[wanted];
    const bool is_clear = !is_unique || (found.size() == 1 && uses[wanted] == 1);
    if (found.empty() || !is_clear || !accepts(cell.first(), b[found.front()].first())) {
      left.push_back(std::move(cell));
      continue;
    }
    is_taken[found.front()] = true;
    pairs.push_back({std::move(cell), b[found.front()]});
    found.erase(found.begin());
  }
  a = std::move(left);
  std::vector<CellRuns> left_of_b;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (!is_taken[i]) left_of_b.push_back(std::move(b[i]));
  }
  b = std::move(left_of_b);
}

}  // namespace

const CellResult& CellRuns::first() const {
  return **std::find_if(by_run.begin(), by_run.end(),
                        [](const CellResult* cell) { return cell != nullptr; });
}

std::string identity_of(const CellResult& cell) {
  Json json = {
      facts_of(cell),
      cell.file ? Json(storable(std::filesystem::path(*cell.file).filename().string())) : Json(),
      json_of(cell.seed),
      json_of(cell.queries),
      json_of(cell.query_seed),
      json_of(cell.decode_steps),
      parameters_of(cell),
      cell.device,
      cell.kernel,
      cell.threads,
      cell.chunk_rows,
      json_of(cell.mask_seed)};
  for (const auto* named : {&cell.source_params, &cell.routes}) {
    Json list = Json::array();
    for (const auto& [name, value] : *named) list.push_back({storable(name), storable(value)});
    json.push_back(std::move(list));
  }
  if (cell.match) {
    json.push_back({name_of(cell.match->quantity), cell.match->target, cell.match->tolerance,
                    cell.match->parameter, name_of(cell.match->on_miss)});
  }
  return json.dump();
}

CellPairs pair_cells(const Side& a, const Side& b) {
  CellPairs paired{.pairs = {}, .only_a = cells_of(a), .only_b = cells_of(b)};
  const std::vector<CellRuns> order = paired.only_a;
  const auto any = [](const CellResult&, const CellResult&) { return true; };
  const auto has_one_no_data = [](const CellResult& one, const CellResult& other) {
    return !one.facts || !other.facts;
  };
  pair_by([](const CellResult& cell) { return identity_of(cell) + names_of(cell); }, false, any,
          paired.only_a, paired.only_b, paired.pairs);
  pair_by(identity_of, true, any, paired.only_a, paired.only_b, paired.pairs);
  pair_by(names_without_data, true, has_one_no_data, paired.only_a, paired.only_b, paired.pairs);
  std::map<const CellResult*, std::size_t> places;
  for (const CellRuns& cell : order) places.emplace(&cell.first(), places.size());
  std::stable_sort(paired.pairs.begin(), paired.pairs.end(),
                   [&](const CellPair& one, const CellPair& other) {
                     return places.at(&one.a.first()) < places.at(&other.a.first());
                   });
  return paired;
}

}  // namespace maskerade::compare
