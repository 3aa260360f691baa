#include "experiments/worker/worker_messages.hpp"

#include <nlohmann/json.hpp>

#include "experiments/results/cell_message.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

std::string packed(const Json& json) {
  std::string message;
  Json::to_msgpack(json, message);
  return message;
}

// What `read` gives of a message's object.
template <typename Read>
auto unpacked(const std::string& message, Read&& read) {
  try {
    return read(Json::from_msgpack(message));
  } catch (const Json::exception& error) {
    throw Error(std::string("a message between the program and a worker cannot be read: ") +
                error.what());
  }
}

// Rationale: a result's facts travel as those of a cell.
CellResult with_facts(const WorkloadFacts& facts) {
  CellResult result;
  result.facts = facts;
  return result;
}

}  // namespace

std::string message_of(const WorkerSetup& setup) {
  Json assignments = Json::array();
  for (const Assignment& assignment : setup.assignments) {
    assignments.push_back({assignment.key, assignment.value});
  }
  Json libraries = Json::array();
  for (const InheritedLibrary& library : setup.libraries) {
    libraries.push_back({library.path, library.sha256, library.descriptor});
  }
  return packed({{"file", setup.file},
                 {"text", setup.text},
                 {"assignments", assignments},
                 {"libraries", libraries},
                 {"threads", setup.threads},
                 {"chunk_rows", setup.chunk_rows},
                 {"call_record", setup.call_record}});
}

WorkerSetup setup_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    WorkerSetup setup{.file = json.at("file"),
                      .text = json.at("text"),
                      .assignments = {},
                      .libraries = {},
                      .threads = json.at("threads"),
                      .chunk_rows = json.at("chunk_rows"),
                      .call_record = json.at("call_record")};
    for (const Json& pair : json.at("assignments")) {
      setup.assignments.push_back({pair.at(0), pair.at(1)});
    }
    for (const Json& library : json.at("libraries")) {
      setup.libraries.push_back({library.at(0), library.at(1), library.at(2)});
    }
    return setup;
  });
}

std::string message_of(const WorkerReady& ready) { return packed({{"failure", ready.failure}}); }

WorkerReady ready_of(const std::string& message) {
  return unpacked(message, [](const Json& json) { return WorkerReady{json.at("failure")}; });
}

std::string message_of(const WorkerRequest& request) {
  Json json = {{"task", request.task}, {"job", request.job}};
  if (request.described) json["described"] = cell_message(*request.described);
  return packed(json);
}

WorkerRequest request_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    WorkerRequest request{.task = json.at("task"), .job = json.at("job")};
    if (json.contains("described")) {
      request.described = result_of_message(json.at("described").get<std::string>());
    }
    return request;
  });
}

std::string message_of(const OpenedWorkload& opened) {
  Json json = {{"failure", opened.failure}, {"is_bad_input", opened.is_bad_input}};
  if (opened.description) {
    json["facts"] = cell_message(with_facts(opened.description->facts));
    json["layer"] = opened.description->layer ? Json(*opened.description->layer) : Json();
    json["fingerprint"] = opened.description->fingerprint;
  }
  return packed(json);
}

OpenedWorkload opened_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    OpenedWorkload opened{.description = std::nullopt,
                          .failure = json.at("failure"),
                          .is_bad_input = json.at("is_bad_input")};
    if (!json.contains("facts")) return opened;
    opened.description = {.facts = *result_of_message(json.at("facts").get<std::string>()).facts,
                          .layer = json.at("layer").is_null()
                                       ? std::nullopt
                                       : std::optional<std::int64_t>(json.at("layer")),
                          .fingerprint = json.at("fingerprint")};
    return opened;
  });
}

}  // namespace maskerade
