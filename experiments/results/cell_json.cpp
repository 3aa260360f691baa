#include "experiments/results/cell_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace maskerade {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

void add_times(Json& json, const std::string& stage, const Summary& summary) {
  json[stage + "_ms"] = number(summary.median);
  json[stage + "_ms_lo"] = number(summary.lo);
  json[stage + "_ms_hi"] = number(summary.hi);
  json[stage + "_ms_min"] = number(summary.min);
}

void add_facts(Json& json, const WorkloadFacts& facts) {
  json["dtype"] = name_of(facts.dtype);
  json["batch"] = facts.shape.batch;
  json["query_heads"] = facts.shape.query_heads;
  json["kv_heads"] = facts.shape.kv_heads;
  json["query_len"] = facts.shape.query_len;
  json["key_len"] = facts.shape.key_len;
  json["head_dim"] = facts.shape.head_dim;
  json["causal"] = facts.causal;
  json["source"] = facts.source;
}

void add_counts(Json& json, const MaskCounts& counts) {
  json["density"] = number(counts.density);
  json["density_p5"] = number(counts.density_p5);
  json["density_p95"] = number(counts.density_p95);
  json["active_entries"] = counts.active_entries;
  json["sampled_entries"] = counts.sampled_entries;
  json["tiles_full"] = counts.tiles_full;
  json["tiles_partial"] = counts.tiles_partial;
  json["tiles_empty"] = counts.tiles_empty;
  json["empty_rows"] = counts.empty_rows;
}

void add_cost(Json& json, const CostFacts& cost) {
  json["keys_scored"] = cost.keys_scored;
  json["select_bytes_read"] = cost.select_bytes_read;
  json["index_bytes"] = cost.index_bytes;
  if (cost.index_spans_future) json["index_spans_future"] = true;
  json["kv_bytes_touched"] = cost.kv_bytes_touched;
}

void add_stage_times(Json& json, const StageTimes& times) {
  if (times.prepare) add_times(json, "prepare", *times.prepare);
  if (times.select) {
    add_times(json, "select", *times.select);
    Json by_masker = Json::object();
    for (const auto& [id, median_ms] : times.select_by_masker) by_masker[id] = number(median_ms);
    json["select_ms_by_masker"] = std::move(by_masker);
  }
  if (times.plan) add_times(json, "plan", *times.plan);
  add_times(json, "attend", times.attend);
  add_times(json, "total", times.total);
  add_times(json, "dense", times.dense);
}

void add_fidelity(Json& json, const Fidelity& fidelity) {
  json["rel_l2_error"] = number(fidelity.rel_l2_error);
  json["rel_l2_error_p95_head"] = number(fidelity.rel_l2_error_p95_head);
  json["attention_recall"] = number(fidelity.attention_recall);
  json["sampled_share"] = number(fidelity.sampled_share);
  json["lse_error"] = number(fidelity.lse_error);
}

Json params_of(const CellResult& result) {
  Json params = Json::object();
  for (const auto& [id, resolved] : result.params) {
    Json values = Json::object();
    for (const auto& [name, value] : resolved) values[name] = value;
    params[id] = std::move(values);
  }
  return params;
}

}  // namespace

std::string to_json_line(const CellResult& result) {
  Json json;
  json["experiment"] = result.experiment;
  json["workload"] = result.workload;
  json["cell"] = result.cell;
  json["pipeline"] = result.pipeline;
  json["status"] = name_of(result.status);
  json["reason"] = result.reason;
  json["device"] = result.device;
  json["kernel"] = result.kernel;
  if (!result.kernel_mix.empty()) json["kernel_mix"] = result.kernel_mix;
  if (result.facts) add_facts(json, *result.facts);
  if (result.file) json["file"] = *result.file;
  if (result.facts) json["layer"] = result.facts->layer;
  if (result.seed) json["seed"] = *result.seed;
  if (result.mask_seed) json["mask_seed"] = *result.mask_seed;
  json["threads"] = result.threads;
  json["params"] = params_of(result);
  if (result.counts) add_counts(json, *result.counts);
  if (result.cost) add_cost(json, *result.cost);
  if (result.times) add_stage_times(json, *result.times);
  if (!result.dense_kernel.empty()) json["dense_kernel"] = result.dense_kernel;
  if (result.times) {
    json["speedup"] = number(result.times->speedup());
    json["repetitions"] = result.times->repetitions;
  }
  if (result.fidelity) add_fidelity(json, *result.fidelity);
  if (result.oracle) {
    json["oracle_error"] = number(result.oracle->error);
    json["dense_oracle_error"] = number(result.oracle->dense_error);
    json["oracle_rows"] = result.oracle->rows;
  }
  json["tolerance"] = number(result.tolerance);
  json["machine"] = result.machine;
  json["program_version"] = result.program_version;
  // Rationale: file names need not be UTF-8, and must not lose a result.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace maskerade
