#include "experiments/check/check_messages.hpp"

#include "experiments/worker/packed_json.hpp"
#include "framework/base/text.hpp"

namespace maskerade::check {
namespace {

using Json = nlohmann::json;

Json json_of(const Verdict& verdict) {
  return {storable(verdict.asked), verdict.finding.kind, storable(verdict.finding.reason),
          storable(verdict.rule)};
}
Verdict verdict_of(const Json& json) {
  return {.asked = json.at(0),
          .finding = {json.at(1).get<VerdictKind>(), json.at(2)},
          .rule = json.at(3)};
}

}  // namespace

std::string message_of(const CheckOptions& options) {
  Json parameters = Json::array();
  for (const GivenParameter& one : options.given.parameters) {
    parameters.push_back({one.name, one.values, one.is_list});
  }
  Json shape;
  if (const auto& given = options.given.shape) {
    shape = {given->batch,     given->query_heads, given->kv_heads,
             given->query_len, given->key_len,     given->head_dim};
  }
  return packed({{"parameters", parameters},
                 {"shape", shape},
                 {"layer", options.given.layer},
                 {"library", options.library},
                 {"seed", options.seed},
                 {"cells", options.cells},
                 {"folder", options.folder},
                 {"other_maskers", options.other_maskers},
                 {"deadly", options.deadly}});
}

CheckOptions options_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    CheckOptions options{.library = json.at("library"),
                         .seed = json.at("seed"),
                         .cells = json.at("cells"),
                         .given = {},
                         .folder = json.at("folder"),
                         .other_maskers = json.at("other_maskers"),
                         .deadly = json.at("deadly")};
    for (const Json& one : json.at("parameters")) {
      options.given.parameters.push_back(
          {.name = one.at(0), .values = one.at(1), .is_list = one.at(2)});
    }
    if (const Json& shape = json.at("shape"); !shape.is_null()) {
      options.given.shape = AttentionShape{shape.at(0), shape.at(1), shape.at(2),
                                           shape.at(3), shape.at(4), shape.at(5)};
    }
    options.given.layer = json.at("layer");
    return options;
  });
}

std::string message_of(const OpenedLibrary& opened) {
  Json questions = Json::array();
  for (const Verdict& question : opened.questions) questions.push_back(json_of(question));
  return packed({{"failure", storable(opened.failure)},
                 {"refusal", storable(opened.refusal)},
                 {"load_ms", opened.load_ms},
                 {"title", storable(opened.title)},
                 {"questions", questions}});
}

OpenedLibrary opened_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    OpenedLibrary opened{.failure = json.at("failure"),
                         .refusal = json.at("refusal"),
                         .load_ms = json.at("load_ms"),
                         .title = json.at("title"),
                         .questions = {}};
    for (const Json& question : json.at("questions")) {
      opened.questions.push_back(verdict_of(question));
    }
    return opened;
  });
}

std::string message_of(const CheckStep& step) {
  return packed({{"is_done", step.is_done},
                 {"about_to", storable(step.about_to)},
                 {"verdict", json_of(step.verdict)}});
}

CheckStep step_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    return CheckStep{.is_done = json.at("is_done"),
                     .about_to = json.at("about_to"),
                     .verdict = verdict_of(json.at("verdict"))};
  });
}

}  // namespace maskerade::check
