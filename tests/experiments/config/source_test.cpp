#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/experiments/config/read_experiment_for_test.hpp"

namespace maskerade {
namespace {

using Labels = std::vector<std::string>;

constexpr const char* kSizes = "query_heads: 4, query_len: 8, key_len: 16, head_dim: 32}\n";

// Line 2 is the workload.
std::string workload(const std::string& text) {
  return "name: t\nworkload: " + text + "pipelines: {p: [plain]}\n";
}

// Line 2, from column 20, is the source.
std::string source(const std::string& text) { return workload("{source: " + text + "}\n"); }

Labels labels(const Experiment& experiment) {
  Labels result;
  for (const WorkloadSpec& spec : experiment.workloads) result.push_back(spec.label);
  return result;
}

// A safetensors file of empty tensors of these names.
std::string safetensors(const std::vector<std::string>& names) {
  std::string header;
  for (const std::string& name : names) {
    header += (header.empty() ? "{" : ",") + std::string("\"") + name +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  header += "}";
  // The size of the header in 8 bytes, the lowest first.
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) {
    bytes += static_cast<char>(std::uint64_t{header.size()} >> shift & 0xFF);
  }
  return bytes + header;
}

TEST(Source, StructuredHasDefaults) {
  const ExperimentFolder folder;
  const auto read = [&](const std::string& text) {
    const Experiment experiment = folder.read(workload("{source: " + text + ", " + kSizes));
    return workload_of(experiment, "workload").source->describe();
  };
  const SourceDescription defaults = read("{kind: structured}");
  EXPECT_EQ(defaults.seed, 0U);
  const SourceParameters usual = {
      {"rank", "8"},        {"contrast", "2"},       {"sinks", "4"},
      {"sink_mass", "0.2"}, {"window", "64"},        {"local_mass", "0.25"},
      {"hitters", "0.01"},  {"hitter_mass", "0.15"}, {"rope_base", "500000"}};
  EXPECT_EQ(defaults.parameters, usual);
  const SourceDescription given = read(
      "{kind: structured, seed: 7, rank: 3, contrast: 1.5, sinks: 0, sink_mass: 0, window: 9, "
      "local_mass: 40%, hitters: 0.02, hitter_mass: 0%, rope_base: 1e4}");
  EXPECT_EQ(given.seed, 7U);
  const SourceParameters stated = {
      {"rank", "3"},       {"contrast", "1.5"},  {"sinks", "0"},
      {"sink_mass", "0"},  {"window", "9"},      {"local_mass", "0.4"},
      {"hitters", "0.02"}, {"hitter_mass", "0"}, {"rope_base", "10000"}};
  EXPECT_EQ(given.parameters, stated);
}

TEST(Source, QueriesAreReadWithTheirSeed) {
  const ExperimentFolder folder;
  const auto read = [&](const std::string& text) {
    const Experiment experiment =
        folder.read(workload("{source: {kind: gaussian}, " + text + kSizes));
    return workload_of(experiment, "workload");
  };
  EXPECT_FALSE(read("").queries.has_value());
  EXPECT_EQ(read("queries: 8, ").queries, 8);
  EXPECT_EQ(read("queries: 8, ").query_seed, 0U);
  EXPECT_EQ(read("queries: 3, query_seed: 5, ").query_seed, 5U);
}

TEST(Source, LayersGiveOneWorkloadEach) {
  const ExperimentFolder folder;
  folder.write("d/b.safetensors",
               safetensors({"layers.10.q", "layers.9.q", "layers.09.q", "layers..q", "layers.2.k",
                            "q", "layers.99999999999.q"}));
  folder.write("d/a.safetensors", safetensors({"layers.0.q"}));
  Experiment experiment =
      folder.read(source("{kind: safetensors, file: d/b.safetensors, layers: [5, 1]}"));
  EXPECT_EQ(labels(experiment), (Labels{"workload layer=5", "workload layer=1"}));
  const Source& listed = *workload_of(experiment, "workload layer=5").source;
  const SourceParameters layer_5 = {
      {"query", "layers.5.q"}, {"key", "layers.5.k"}, {"value", "layers.5.v"}, {"layout", "bhld"}};
  EXPECT_EQ(listed.describe().parameters, layer_5);
  EXPECT_EQ(listed.layer(), 5);

  EXPECT_EQ(labels(folder.read(source("{kind: safetensors, file: d/*.safetensors, layers: all}"))),
            (Labels{"workload a layer=0", "workload b layer=9", "workload b layer=10"}));

  experiment = folder.read(
      source("{kind: safetensors, file: d/a.safetensors, layers: [3], query: 'h{layer}/q', key: "
             "'h{layer}/k{layer}', value: 'v{layer}', query_positions: 'p{layer}', layout: blhd}"));
  const SourceParameters named = {{"query", "h3/q"},
                                  {"key", "h3/k3"},
                                  {"value", "v3"},
                                  {"layout", "blhd"},
                                  {"query_positions", "p3"}};
  EXPECT_EQ(workload_of(experiment, "workload layer=3").source->describe().parameters, named);
}

TEST(Source, OnlyStarAndQuestionMarkArePatterns) {
  const ExperimentFolder folder;
  for (const char* name : {"ok[1]a.st", "ok1a.st", "ok\\a.st"}) {
    folder.write("d/" + std::string(name), "");
  }
  const auto read = [&](const std::string& pattern) {
    return labels(folder.read(source("{kind: safetensors, file: 'd/" + pattern + "'}")));
  };
  EXPECT_EQ(read("ok[1]*.st"), Labels{"workload ok[1]a"});
  EXPECT_EQ(read("ok\\*.st"), Labels{"workload ok\\a"});
  EXPECT_EQ(read("ok?a.st"), (Labels{"workload ok1a", "workload ok\\a"}));
}

TEST(Source, FilesOfOneStemAreToldApart) {
  const ExperimentFolder folder;
  for (const char* name : {"a.safetensors", "a.st", "b.st"}) {
    folder.write("d/" + std::string(name), "");
  }
  EXPECT_EQ(labels(folder.read(source("{kind: safetensors, file: d/*}"))),
            (Labels{"workload a.safetensors", "workload a.st", "workload b"}));
}

TEST(Source, FileNamesWithControlCharactersAreRefused) {
  const ExperimentFolder folder;
  folder.write("d/a\x1b[2J.st", "");
  EXPECT_EQ(folder.error(source("{kind: safetensors, file: d/*}")),
            "x.yaml:2:46: a text holds the control character \\x1b; remove it");
}

TEST(Source, NpyNamesAFilePerTensor) {
  const ExperimentFolder folder;
  for (const char* name : {"q", "k", "v", "p", "q_1", "k_1", "v_1", "q_12", "k_12", "v_12"}) {
    folder.write("d/" + std::string(name) + ".npy", "");
  }
  Experiment experiment = folder.read(source(
      "{kind: npy, query: d/q.npy, key: d/k.npy, value: d/v.npy, query_positions: d/p.npy}"));
  EXPECT_EQ(labels(experiment), Labels{"workload"});
  const auto path = [&](const char* name) { return (folder.path() / "d" / name).string(); };
  const Source& plain = *workload_of(experiment, "workload").source;
  const SourceParameters arrays = {{"key", path("k.npy")},
                                   {"value", path("v.npy")},
                                   {"layout", "bhld"},
                                   {"query_positions", path("p.npy")}};
  EXPECT_EQ(plain.describe().parameters, arrays);
  EXPECT_EQ(plain.describe().file, path("q.npy"));
  const std::vector<std::filesystem::path> files = {path("q.npy"), path("k.npy"), path("v.npy"),
                                                    path("p.npy")};
  EXPECT_EQ(plain.files(), files);
  EXPECT_FALSE(plain.layer().has_value());

  experiment = folder.read(
      "name: t\n"
      "workload:\n"
      "  source:\n"
      "    kind: npy\n"
      "    query: d/q_{layer}.npy\n"
      "    key: d/k_{layer}.npy\n"
      "    value: d/v_{layer}.npy\n"
      "    layers: all\n"
      "pipelines: {p: [plain]}\n");
  EXPECT_EQ(labels(experiment), (Labels{"workload layer=1", "workload layer=12"}));
  const Source& layer_12 = *workload_of(experiment, "workload layer=12").source;
  const SourceParameters arrays_12 = {
      {"key", path("k_12.npy")}, {"value", path("v_12.npy")}, {"layout", "bhld"}};
  EXPECT_EQ(layer_12.describe().parameters, arrays_12);
  EXPECT_EQ(layer_12.layer(), 12);
}

TEST(Source, ErrorsAreAtTheValue) {
  const ExperimentFolder folder;
  folder.write("d/a.safetensors", safetensors({"q", "k", "v"}));
  folder.write("d/cut.safetensors", "abc");
  folder.write("d/q.npy", "");
  struct Bad {
    std::string text;
    std::string message;
  };
  const std::string file = "{kind: safetensors, file: d/a.safetensors, ";
  const std::string need_layer = "; a source with layers needs {layer} in it, such as ";
  const std::vector<Bad> cases = {
      {source(file + "layers: 5}"),
       "x.yaml:2:71: layers is 5; it must be a list of layers, such as [1, 5], or all"},
      {source(file + "layers: []}"),
       "x.yaml:2:71: layers is an empty list; it must be a list of layers, such as [1, 5], or all"},
      {source(file + "layers: some}"),
       "x.yaml:2:71: layers is some; it must be a list of layers, such as [1, 5], or all"},
      {source(file + "layers: [1, -1]}"),
       "x.yaml:2:75: layers is -1; it must be a whole number between 0 and 2147483647, in digits "
       "without leading zeros"},
      {source(file + "layers: [1, 1]}"), "x.yaml:2:75: layers lists 1 twice"},
      {source(file + "layers: all}"),
       "x.yaml:2:71: layers is all, but nothing in d/a.safetensors is named layers.{layer}.q"},
      {source("{kind: safetensors, file: d/cut.safetensors, layers: all}"),
       "x.yaml:2:73: layers is all, which reads the file: d/cut.safetensors: the file has 3 bytes; "
       "a safetensors file begins with 8 bytes of header length"},
      {source(file + "layers: [1], key: k}"),
       "x.yaml:2:81: key is k" + need_layer + "\"layers.{layer}.k\""},
      {source(file + "value: 'v{layer}'}"),
       "x.yaml:2:70: value is v{layer}, but the source has no layers; add layers: [0, 1], or "
       "layers: all"},
      {source(file + "layout: bldh}"), "x.yaml:2:71: unknown layout \"bldh\"; known: bhld, blhd"},
      {source(file + "query_positions: [1]}"),
       "x.yaml:2:80: query_positions is a list; it must be a text"},
      {source("{kind: npy, query: d/q.npy, key: d/k.npy}"),
       "x.yaml:2:20: an npy source has one array per file and needs value: {kind: npy, query: "
       "q.npy, key: k.npy, value: v.npy}"},
      {source("{kind: npy, query: d/q.npy, key: d/k.npy, value: d/v.npy}"),
       "x.yaml:2:53: there is no file d/k.npy; did you mean \"q.npy\"?"},
      {source("{kind: npy, query: e/q.npy, key: e/k.npy, value: e/v.npy}"),
       "x.yaml:2:39: there is no folder e"},
      {source("{kind: npy, file: q.npz}"),
       "x.yaml:2:32: unknown key \"file\" in an npy source; known: kind, query, key, value, "
       "layers, "
       "layout, query_positions"},
      {source("{kind: structured, sink: 4}"),
       "x.yaml:2:39: unknown key \"sink\" in a structured source; did you mean \"sinks\"?"},
      {source("{kind: structured, local_mass: 70%}"),
       "x.yaml:2:20: sink_mass, local_mass and hitter_mass sum to 105%; they must leave at least "
       "1% for the other keys"},
      {source("{kind: structured, hitters: 2}"),
       "x.yaml:2:48: hitters is 2; it must be a share between 0 and 1, written 2% or 0.02"},
      {source("{kind: structured, contrast: 11}"),
       "x.yaml:2:49: contrast is 11; it must be at most 10"},
      {source("{kind: structured, rank: 0}"),
       "x.yaml:2:45: rank is 0; it must be a whole number between 1 and 2147483647, in digits "
       "without leading zeros"},
      {source("{kind: structured}, key_len: 8"),
       "x.yaml:2:1: workload \"workload\" has no query_heads, query_len, head_dim; a structured "
       "source takes its sizes from the experiment file"},
      {workload("{source: {kind: structured}, query_heads: 1, query_len: 1, key_len: 1, head_dim: "
                "8}\n"),
       "x.yaml:2:92: workload \"workload\" has head_dim 8; a structured source needs an even one "
       "of "
       "at least 16"},
      {workload("{source: {kind: gaussian}, queries: 0, " + std::string(kSizes)),
       "x.yaml:2:47: queries is 0; it must be a whole number between 1 and 2147483647, in digits "
       "without leading zeros"},
      {workload("{source: {kind: gaussian}, query_seed: 1, " + std::string(kSizes)),
       "x.yaml:2:38: query_seed has no effect without queries; add queries: 64, or remove it"},
  };
  for (const Bad& bad : cases) EXPECT_EQ(folder.error(bad.text), bad.message) << bad.text;
}

// YAML itself ends a plain text at a brace inside {...}; the remedy is named.
TEST(Source, ALayerMarkInAFlowMappingNeedsQuotes) {
  const ExperimentFolder folder;
  folder.write("a.safetensors", "");
  EXPECT_EQ(folder
                .error(source(
                    "{kind: safetensors, file: a.safetensors, layers: all, query: l.{layer}.q}"))
                .substr(0, 43),
            "x.yaml:2:83: this is not valid YAML; a text");
}

}  // namespace
}  // namespace maskerade
