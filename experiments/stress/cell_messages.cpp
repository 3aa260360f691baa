#include "experiments/stress/cell_messages.hpp"

#include <memory>
#include <vector>

#include "experiments/worker/packed_json.hpp"
#include "framework/base/error.hpp"

namespace maskerade::stress {
namespace {

using Json = nlohmann::json;

Json json_of(const GivenMasker& masker) {
  Json given = Json::array();
  for (const GivenParameter& parameter : masker.given) {
    given.push_back({parameter.name, parameter.values, parameter.is_list});
  }
  return {masker.type->id(), given, masker.reference != nullptr};
}

GivenMasker masker_of(const Json& json, const Catalog& catalog, const Catalog& references) {
  const std::string id = json.at(0);
  GivenMasker masker{.type = catalog.find(id),
                     .given = {},
                     .reference = json.at(2) ? references.find(id) : nullptr};
  if (masker.type == nullptr || (json.at(2) && masker.reference == nullptr)) {
    throw Error("a worker is asked about a masker \"" + id + "\" that it does not have");
  }
  for (const Json& parameter : json.at(1)) {
    masker.given.push_back({parameter.at(0), parameter.at(1), parameter.at(2)});
  }
  return masker;
}

Json json_of(const rules::ProblemSpec& problem) {
  const AttentionShape& shape = problem.shape;
  return {{"shape",
           {shape.batch, shape.query_heads, shape.kv_heads, shape.query_len, shape.key_len,
            shape.head_dim}},
          {"dtype", problem.dtype},
          {"causal", problem.causal},
          {"kind", problem.kind},
          {"seed", problem.seed},
          {"equal_keys", problem.equal_keys},
          {"key_sigma", problem.key_sigma},
          {"layer", problem.layer}};
}

rules::ProblemSpec problem_of(const Json& json) {
  const Json& shape = json.at("shape");
  return {.shape = {shape.at(0), shape.at(1), shape.at(2), shape.at(3), shape.at(4), shape.at(5)},
          .dtype = json.at("dtype"),
          .causal = json.at("causal"),
          .kind = json.at("kind"),
          .seed = json.at("seed"),
          .equal_keys = json.at("equal_keys"),
          .key_sigma = json.at("key_sigma"),
          .layer = json.at("layer")};
}

Json json_of(const rules::Violations& violations) {
  Json json = Json::array();
  for (const rules::Violation& violation : violations) {
    const rules::EntryLocation& where = violation.where;
    json.push_back(
        {violation.rule, {where.batch, where.head, where.query, where.key}, violation.finding});
  }
  return json;
}

rules::Violations violations_of(const Json& json) {
  rules::Violations violations;
  for (const Json& violation : json) {
    const Json& where = violation.at(1);
    violations.push_back(
        {violation.at(0), {where.at(0), where.at(1), where.at(2), where.at(3)}, violation.at(2)});
  }
  return violations;
}

}  // namespace

std::string message_of(const CheckRequest& request) {
  const StressCell& cell = request.cell;
  Json maskers = Json::array();
  for (const GivenMasker& masker : cell.maskers) maskers.push_back(json_of(masker));
  return packed({{"maskers", maskers},
                 {"problem", json_of(cell.problem)},
                 {"previous", cell.previous},
                 {"mask_seed", cell.mask_seed},
                 {"threads", cell.threads},
                 {"chunk_rows", cell.chunk_rows},
                 {"device", cell.device},
                 {"invariant", request.invariant ? Json(*request.invariant) : Json()}});
}

CheckRequest request_of(const std::string& message,
                        const Catalog& catalog,
                        const Catalog& references) {
  return unpacked(message, [&](const Json& json) {
    CheckRequest request{.cell = {.maskers = {},
                                  .problem = problem_of(json.at("problem")),
                                  .previous = json.at("previous"),
                                  .mask_seed = json.at("mask_seed"),
                                  .threads = json.at("threads"),
                                  .chunk_rows = json.at("chunk_rows"),
                                  .device = json.at("device")}};
    for (const Json& masker : json.at("maskers")) {
      request.cell.maskers.push_back(masker_of(masker, catalog, references));
    }
    if (!json.at("invariant").is_null()) {
      request.invariant = json.at("invariant").get<Invariant>();
    }
    return request;
  });
}

std::string message_of(const CellOutcome& outcome) {
  Json failures = Json::array();
  for (const CellFailure& failure : outcome.failures) {
    failures.push_back(
        {failure.invariant, failure.cell.maskers.size(), json_of(failure.violations)});
  }
  return packed(
      {{"refusal", outcome.refusal}, {"checked", outcome.checked}, {"failures", failures}});
}

CellOutcome outcome_of(const std::string& message, const StressCell& cell) {
  return unpacked(message, [&](const Json& json) {
    CellOutcome outcome{
        .refusal = json.at("refusal"), .checked = json.at("checked"), .failures = {}};
    for (const Json& failure : json.at("failures")) {
      outcome.failures.push_back({.invariant = failure.at(0),
                                  .cell = cell.first_maskers(failure.at(1)),
                                  .violations = violations_of(failure.at(2))});
    }
    return outcome;
  });
}

std::string message_of(const std::optional<rules::Violations>& found) {
  return packed(found ? json_of(*found) : Json());
}

std::optional<rules::Violations> found_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    return json.is_null() ? std::nullopt : std::optional(violations_of(json));
  });
}

}  // namespace maskerade::stress
