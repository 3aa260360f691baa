// Tests that experiments/README.md describes what the reader accepts, and that the reader accepts
// the experiments in every README.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "attention/backend_table.hpp"
#include "attention/kernel_table.hpp"
#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/sources/source_kinds.hpp"
#include "tests/experiments/config/markdown_for_test.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = SOURCE_FOLDER;
const fs::path kReference = kSource / "experiments/README.md";

// A row of a table in experiments/README.md that describes a key.
struct DocumentedKey {
  std::string owner;  // as in AcceptedNames: the mapping that has the key
  std::string key;
  std::string text;     // the whole row
  std::string example;  // "causal: true"
};

std::vector<DocumentedKey> documented_keys() {
  std::vector<DocumentedKey> keys;
  for (const TableRow& row : table_rows(kReference)) {
    if (row.heading.empty() || row.cells.front() == "key") continue;
    std::string text;
    for (const std::string& cell : row.cells) text += cell + " ";
    const std::vector<std::string> names = code_spans(row.cells.front());
    const std::vector<std::string> examples = code_spans(row.cells.back());
    EXPECT_EQ(row.cells.size(), 5U) << text;
    EXPECT_EQ(names.size(), 1U) << text;
    EXPECT_EQ(examples.size(), 1U) << text;
    if (names.size() == 1 && examples.size() == 1) {
      keys.push_back({row.heading, names[0], text, examples[0]});
    }
  }
  return keys;
}

// A folder with the files that the examples name: the data beside the experiments, and arrays that
// were captured.
class Reference : public testing::Test {
 protected:
  Reference() {
    std::string name = (fs::temp_directory_path() / "maskerade_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    folder_ = name;
    fs::create_directory_symlink(kSource / "experiments/data", folder_ / "data");
    fs::create_directory(folder_ / "captured");
    for (const char* file : {"q_3.npy", "k_3.npy", "v_3.npy", "positions.npy"}) {
      std::ofstream(folder_ / "captured" / file) << "";
    }
    catalog_.load_folder(PLUGINS, true);
  }
  ~Reference() override { fs::remove_all(folder_); }

  // The message of the ConfigError that reading throws; "": it throws none.
  std::string read(const std::string& text, const std::vector<Assignment>& assignments = {}) const {
    std::ofstream(folder_ / "x.yaml") << text;
    try {
      make_grid(read_experiment(folder_ / "x.yaml", assignments, catalog_, presets_));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  Catalog catalog_;
  const PresetTable presets_ = PresetTable::read(kSource / "experiments/presets.yaml");
};

TEST_F(Reference, HasATableOfExactlyTheAcceptedKeys) {
  std::map<std::string, std::set<std::string>> documented;
  for (const DocumentedKey& key : documented_keys()) {
    EXPECT_TRUE(documented[key.owner].insert(key.key).second) << key.owner << ": " << key.key;
  }
  std::map<std::string, std::set<std::string>> accepted;
  for (const AcceptedNames& keys : all_accepted_keys()) {
    accepted[keys.owner] = {keys.names.begin(), keys.names.end()};
  }
  for (const auto& [owner, keys] : accepted) EXPECT_EQ(documented[owner], keys) << owner;
  for (const auto& [owner, keys] : documented) EXPECT_TRUE(accepted.contains(owner)) << owner;
}

// The row of a key, as the table of its place shows it.
std::vector<std::string> row_of(const SettingKey& key) {
  return {"`" + key.name + "`", key.form.to_text(), key.default_to_text(), key.meaning,
          "`" + key.name + ": " + key.example + "`"};
}

TEST_F(Reference, HasTheTableOfEveryKindOfSource) {
  for (const SourceKind& kind : source_kinds()) {
    std::vector<std::vector<std::string>> shown;
    for (const TableRow& row : table_rows(kReference)) {
      if (row.heading == "source " + kind.name) shown.push_back(row.cells);
    }
    std::vector<std::vector<std::string>> expected = {
        {"key", "type", "default", "meaning", "example"}};
    for (const SettingKey& key : kind.keys) expected.push_back(row_of(key));
    EXPECT_EQ(shown, expected) << kind.name;
  }
}

TEST_F(Reference, ListsTheKindsOfSourceInTheirOrder) {
  std::vector<std::string> names;
  for (const SourceKind& kind : source_kinds()) names.push_back(kind.name);
  for (const TableRow& row : table_rows(kReference)) {
    if (row.heading != "source" || row.cells.front() != "`kind`") continue;
    EXPECT_EQ(code_spans(row.cells[3]), names);
    return;
  }
  FAIL() << "there is no table of `source`";
}

TEST_F(Reference, NamesEveryChoice) {
  for (const AcceptedNames& choices : all_accepted_choices()) {
    if (choices.owner == "of") continue;  // no key of its own: part of a tokens value
    std::set<std::string> named;
    for (const DocumentedKey& key : documented_keys()) {
      if (key.key != choices.owner) continue;
      const std::vector<std::string> spans = code_spans(key.text);
      named.insert(spans.begin(), spans.end());
    }
    for (const std::string& choice : choices.names) {
      EXPECT_TRUE(named.contains(choice)) << choices.owner << ": " << choice;
    }
  }
}

TEST_F(Reference, ExamplesOfEveryTableAreAcceptedTogether) {
  const std::string sizes = "query_heads: 2, query_len: 64, key_len: 64, head_dim: 32";
  std::map<std::string, std::vector<Assignment>> examples;  // by their keys' owner
  for (const DocumentedKey& key : documented_keys()) {
    ASSERT_TRUE(key.example.starts_with(key.key + ": ")) << key.example;
    examples[key.owner].push_back({key.key, key.example.substr(key.key.size() + 2)});
  }
  for (const auto& [owner, assignments] : examples) {
    std::string workload = "workload: {source: {kind: gaussian}, " + sizes + "}\n";
    std::string pipelines = "pipelines: {p: [sink]}\n";
    std::vector<Assignment> placed = assignments;
    std::string prefix = owner == "experiment" ? "" : owner + ".";
    if (owner.starts_with("source ")) {
      prefix = "workload.source.";
      const std::string kind = owner.substr(owner.find(' ') + 1);
      workload = "workload: {source: {kind: " + kind + "}, " + sizes + "}\n";
    } else if (owner == "source") {
      prefix = "workload.source.";
      workload = "workload: {source: {}, " + sizes + "}\n";
    } else if (owner == "decode") {
      prefix = "workload.decode.";
      workload =
          "workload: {source: {kind: gaussian}, query_heads: 2, key_len: 64, head_dim: 32, "
          "decode: {}}\n";
    } else if (owner == "workload") {  // a decode trace has queries of its own
      placed = {};
      for (Assignment assignment : assignments) {
        if (assignment.key.starts_with("quer") && assignment.key != "query_heads") continue;
        assignment.key = prefix + assignment.key;
        placed.push_back(std::move(assignment));
      }
      const std::string unsized =
          "workload: {source: {kind: gaussian}, query_heads: 2, key_len: 64, head_dim: 32}\n";
      EXPECT_EQ(read("name: x\n" + unsized + "pipelines: {p: [sink]}\n", placed), "");
      placed = assignments;
      std::erase_if(placed,
                    [](const Assignment& assignment) { return assignment.key == "decode"; });
    } else if (owner == "experiment") {  // one of workload and workloads
      workload.clear();
      std::erase_if(placed,
                    [](const Assignment& assignment) { return assignment.key == "workload"; });
      EXPECT_EQ(read("pipelines: {p: [sink]}\n", placed), "");
      placed = assignments;
      std::erase_if(placed,
                    [](const Assignment& assignment) { return assignment.key == "workloads"; });
    } else if (owner == "pipeline") {  // maskers or a preset
      prefix = "pipelines.p.";
      pipelines = "pipelines: {p: {}}\n";
      std::erase_if(placed,
                    [](const Assignment& assignment) { return assignment.key == "preset"; });
    } else if (owner == "override") {
      prefix = "pipelines.p.overrides.0.";
      pipelines = "pipelines: {p: {maskers: [sink], overrides: [{use: dense}]}}\n";
    } else if (owner == "preset") {
      continue;  // of a file of its own
    }
    // One set of all examples, or several sets where keys exclude each other.
    std::vector<std::vector<Assignment>> sets = {placed};
    if (owner == "match") {
      sets.clear();
      const auto is_target = [](const Assignment& assignment) {
        return parse_match_quantity(assignment.key).has_value();
      };
      for (const Assignment& target : placed) {
        if (!is_target(target)) continue;
        std::vector<Assignment>& one = sets.emplace_back(placed);
        std::erase_if(one, is_target);
        one.push_back(target);
      }
      EXPECT_EQ(sets.size(), 5U);
    }
    for (std::vector<Assignment>& one : sets) {
      for (Assignment& assignment : one) assignment.key = prefix + assignment.key;
      EXPECT_EQ(read("name: x\n" + workload + pipelines, one), "") << owner;
    }
  }
}

TEST_F(Reference, EveryExperimentInAReadmeIsRead) {
  std::vector<fs::path> files = {kSource / "README.md"};
  for (const char* part : {"attention", "experiments", "framework", "maskers", "plugins"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kSource / part)) {
      if (entry.path().extension() == ".md") files.push_back(entry.path());
    }
  }
  std::size_t count = 0;
  for (const fs::path& file : files) {
    for (const std::string& block : code_blocks(file, "yaml")) {
      EXPECT_EQ(read(block), "") << file << "\n" << block;
      ++count;
    }
  }
  EXPECT_GE(count, 4U);
}

// The table of kernels in the reference is the program's.
TEST_F(Reference, NamesEveryKernelOfEveryBackend) {
  const std::vector<std::string> backends = backend_names();
  std::vector<std::vector<std::string>> described;
  for (const TableRow& row : table_rows(kReference)) {
    if (row.cells.size() != 4) continue;
    const std::vector<std::string> backend = code_spans(row.cells[0]);
    if (backend.size() == 1 && std::count(backends.begin(), backends.end(), backend[0]) == 1) {
      described.push_back(row.cells);
    }
  }
  std::vector<std::vector<std::string>> kernels;
  for (const KernelRow& row : kernel_table()) {
    kernels.push_back({"`" + std::string(row.backend) + "`", "`" + std::string(row.name) + "`",
                       std::string(row.summary), std::string(row.serves)});
  }
  EXPECT_EQ(described, kernels);
}

}  // namespace
}  // namespace maskerade
