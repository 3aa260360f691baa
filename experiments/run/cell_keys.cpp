#include "experiments/run/cell_keys.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "attention/cuda/cudnn_library.hpp"
#include "experiments/run/coverage_check.hpp"
#include "experiments/run/runner.hpp"
#include "framework/base/sha256.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> files_named_by(const MaskerUse& use, std::size_t parameter) {
  return files_of(use.type->descriptor().parameters[parameter], use.arguments->view()[parameter]);
}

// Calls visit(use) for every masker of a pipeline and its routes.
template <typename Visit>
void for_each_masker(const Pipeline& pipeline, Visit&& visit) {
  for (const MaskerUse& use : pipeline.maskers()) visit(use);
  for (const HeadRoute& route : pipeline.routes()) {
    for (const MaskerUse& use : route.maskers) visit(use);
  }
}

}  // namespace

CellKeys::CellKeys(const Experiment& experiment) : experiment_(experiment) {
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    for (const MaskerUse* use : maskers_of(pipeline)) {
      for (std::size_t i = 0; i < use->type->descriptor().parameter_count; ++i) {
        for (const std::string& file : files_named_by(*use, i)) {
          if (!hashes_.contains(file)) hashes_.emplace(file, sha256_of_file(file));
        }
      }
    }
  }
}

NamedTexts CellKeys::plugins_of(const Pipeline& pipeline) const {
  NamedTexts plugins;
  std::set<std::string> seen;
  for_each_masker(pipeline, [&](const MaskerUse& use) {
    if (!seen.insert(use.type->id()).second) return;
    plugins.emplace_back(use.type->id(), use.type->sha256());
  });
  return plugins;
}

std::string CellKeys::next_key(const Job& job,
                               const Pipeline& pipeline,
                               const CellResult& described,
                               const std::string& fingerprint) {
  const auto json_of = [&](const std::vector<MaskerUse>& uses) {
    Json maskers = Json::array();
    for (const MaskerUse& use : uses) {
      Json parameters = Json::object();
      for (std::size_t i = 0; i < use.arguments->resolved().size(); ++i) {
        const auto& [name, value] = use.arguments->resolved()[i];
        // Rationale: what a file holds counts, not where it lies.
        Json hashes = Json::array();
        for (const std::string& file : files_named_by(use, i)) hashes.push_back(hashes_.at(file));
        parameters[name] = hashes.empty() ? Json(value) : hashes;
      }
      maskers.push_back(
          {{"id", use.type->id()}, {"library", use.type->sha256()}, {"parameters", parameters}});
    }
    return maskers;
  };
  Json json;
  json["experiment"] = described.experiment;
  json["workload"] = described.workload;
  json["pipeline"] = described.pipeline;
  json["is_dense_reference"] = job.is_dense_reference;
  if (described.facts) json["source"] = described.facts->source;
  json["data"] = fingerprint;
  json["decode_steps"] = described.decode_steps.value_or(0);
  if (pipeline.depends_on_seed()) json["mask_seed"] = job.cell.mask_seed;
  json["maskers"] = json_of(pipeline.maskers());
  Json routes = Json::array();
  for (const HeadRoute& route : pipeline.routes()) {
    routes.push_back({{"name", route.name},
                      {"heads", route.heads},
                      {"is_dense", route.is_dense},
                      {"maskers", json_of(route.maskers)}});
  }
  json["routes"] = routes;
  if (described.match) {
    json["match"] = {{"quantity", name_of(described.match->quantity)},
                     {"target", described.match->target},
                     {"tolerance", described.match->tolerance},
                     {"parameter", described.match->parameter},
                     {"on_miss", name_of(described.match->on_miss)}};
  }
  json["device"] = described.device;
  json["kernel"] = described.kernel;
  json["cost_model"] = described.cost_model;
  const auto& [check, measure] = experiment_.checks[job.cell.check];
  json["oracle_rows"] = check.oracle_rows;
  json["tolerance"] = described.tolerance;
  if (guarantee_of(pipeline)) {
    json["coverage_seeds"] = check.coverage_seeds;
    json["coverage_rows"] = check.coverage_rows;
  }
  json["target"] = measure.target;
  json["budget_ms"] = measure.budget_ms;
  if (is_on_cuda(job)) {
    json["is_warm"] = measure.is_warm;
    json["uses_graph"] = measure.uses_graph;
    json["cudnn"] = cudnn_library().is_found ? cudnn_library().version : "";
  }
  json["machine"] = described.machine;
  json["threads"] = described.threads;
  json["chunk_rows"] = described.chunk_rows;
  json["program_version"] = described.program_version;
  std::string key = sha256_hex(json.dump(-1, ' ', false, Json::error_handler_t::replace));
  const int earlier = uses_[key]++;
  return earlier == 0 ? key : sha256_hex(key + " " + std::to_string(earlier));
}

std::string CellKeys::changed_file(const Pipeline& pipeline) const {
  std::string changed;
  for_each_masker(pipeline, [&](const MaskerUse& use) {
    for (std::size_t i = 0; changed.empty() && i < use.type->descriptor().parameter_count; ++i) {
      for (const std::string& file : files_named_by(use, i)) {
        std::error_code missing;
        if (!std::filesystem::is_regular_file(file, missing) ||
            sha256_of_file(file) != hashes_.at(file)) {
          changed = file;
        }
      }
    }
  });
  return changed;
}

}  // namespace maskerade
