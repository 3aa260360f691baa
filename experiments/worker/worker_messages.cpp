#include "experiments/worker/worker_messages.hpp"

#include "experiments/results/cell_message.hpp"
#include "experiments/worker/packed_json.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

// Rationale: a result's facts travel as those of a cell.
CellResult with_facts(const WorkloadFacts& facts) {
  CellResult result;
  result.facts = facts;
  return result;
}

Json json_of(const std::vector<InheritedLibrary>& libraries) {
  Json json = Json::array();
  for (const InheritedLibrary& library : libraries) {
    json.push_back({library.path, library.sha256, library.descriptor});
  }
  return json;
}
std::vector<InheritedLibrary> libraries_of(const Json& json) {
  std::vector<InheritedLibrary> libraries;
  for (const Json& library : json) {
    libraries.push_back({library.at(0), library.at(1), library.at(2)});
  }
  return libraries;
}

}  // namespace

std::vector<InheritedLibrary> inherited_libraries(const Catalog& catalog) {
  std::vector<InheritedLibrary> libraries;
  for (const LibraryCopy& copy : catalog.copies()) {
    libraries.push_back({copy.library.string(), copy.sha256, copy.descriptor});
  }
  return libraries;
}

Catalog load_inherited(const std::vector<InheritedLibrary>& libraries) {
  Catalog catalog;
  for (const InheritedLibrary& library : libraries) {
    if (library.descriptor >= 0) {
      catalog.load(library.path, library.descriptor);
    } else if (catalog.load(library.path).sha256() != library.sha256) {
      throw PluginError(library.path, "changed while the program ran; run it again");
    }
  }
  return catalog;
}

std::string message_of(const WorkerSetup& setup) {
  Json assignments = Json::array();
  for (const Assignment& assignment : setup.assignments) {
    assignments.push_back({assignment.key, assignment.value});
  }
  return packed({{"duty", setup.duty},
                 {"file", setup.file},
                 {"text", setup.text},
                 {"assignments", assignments},
                 {"libraries", json_of(setup.libraries)},
                 {"references", json_of(setup.references)},
                 {"threads", setup.threads},
                 {"chunk_rows", setup.chunk_rows},
                 {"call_record", setup.call_record}});
}

WorkerSetup setup_of(const std::string& message) {
  return unpacked(message, [](const Json& json) {
    WorkerSetup setup{.duty = json.at("duty"),
                      .file = json.at("file"),
                      .text = json.at("text"),
                      .assignments = {},
                      .libraries = libraries_of(json.at("libraries")),
                      .references = libraries_of(json.at("references")),
                      .threads = json.at("threads"),
                      .chunk_rows = json.at("chunk_rows"),
                      .call_record = json.at("call_record")};
    for (const Json& pair : json.at("assignments")) {
      setup.assignments.push_back({pair.at(0), pair.at(1)});
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
