// What holds of every row of the table of kinds, also of one that is added later.
#include "experiments/sources/source_kinds.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/experiments/data/workload_for_test.hpp"
#include "tests/experiments/sources/source_for_test.hpp"
#include "tests/framework/tensor_files/npy_for_test.hpp"

namespace maskerade {
namespace {

// A folder with the files that the examples of the kinds name.
class ExampleFolder {
 public:
  ExampleFolder() {
    const std::vector<float> ones(4 * 3 * 16, 1.0F);
    for (const char* name : {"q.npy", "k.npy", "v.npy"}) {
      write_file(folder_.path() / name,
                 npy_start(npy_header("<f4", "(4, 3, 16)")) + bytes_of(DType::kFloat32, ones));
    }
    write_tensors(folder_, {{"q", {4, 3, 16}}, {"k", {4, 3, 16}}, {"v", {4, 3, 16}}});
    std::filesystem::create_directory(folder_.path() / "data");
    std::filesystem::rename(folder_.file(), folder_.path() / "data/one.safetensors");
  }

  std::shared_ptr<const Source> source(const std::string& mapping) const {
    return source_of(mapping, folder_.path());
  }
  // The error that reading gives, "" when there is none.
  std::string error(const std::string& mapping) const {
    try {
      source(mapping);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

 private:
  DataFolder folder_;
};

// A mapping with one more key.
std::string with_key(const std::string& mapping, const std::string& key, const std::string& value) {
  return mapping.substr(0, mapping.size() - 1) + ", " + key + ": " + value + "}";
}

bool states(const std::string& mapping, const std::string& key) {
  return mapping.find(" " + key + ":") != std::string::npos;
}

TEST(SourceKinds, HaveNamesAndKeysOfTheirOwn) {
  std::set<std::string> names;
  for (const SourceKind& kind : source_kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name;
    EXPECT_EQ(find_source_kind(kind.name), &kind);
    EXPECT_NE(kind.called.find(kind.name), std::string::npos) << kind.called;
    std::set<std::string> keys = {"kind"};
    for (const SettingKey& key : kind.keys) {
      EXPECT_TRUE(keys.insert(key.name).second) << kind.name << ": " << key.name;
      EXPECT_FALSE(key.meaning.empty()) << kind.name << ": " << key.name;
      EXPECT_FALSE(key.default_to_text().empty()) << kind.name << ": " << key.name;
    }
  }
  EXPECT_EQ(find_source_kind("noise"), nullptr);
}

TEST(SourceKinds, LoadTheirExamples) {
  const ExampleFolder folder;
  for (const SourceKind& kind : source_kinds()) {
    WorkloadSpec spec;
    spec.source = folder.source(kind.example);
    EXPECT_EQ(spec.source->kind(), kind.name);
    EXPECT_NE(spec.source->as_generated() == nullptr, spec.source->as_stored() == nullptr);
    EXPECT_EQ(spec.source->is_generated(), spec.source->files().empty()) << kind.name;
    if (spec.source->is_generated()) {
      spec.query_heads = 4;
      spec.query_len = 3;
      spec.key_len = 3;
      spec.head_dim = 16;
    }
    const Workload workload = load_workload(spec);
    EXPECT_EQ(workload.shape.to_string(), "(1, 4, 4, 3, 3, 16)") << kind.name;
    EXPECT_EQ(workload.source, spec.source->describe().name);
    EXPECT_NO_THROW(workload.inputs().validate());
  }
}

TEST(SourceKinds, DefaultsAreWhatIsReadWhereAKeyIsNotGiven) {
  const ExampleFolder folder;
  std::size_t count = 0;
  for (const SourceKind& kind : source_kinds()) {
    const SourceDescription plain = folder.source(kind.example)->describe();
    for (const SettingKey& key : kind.keys) {
      if (key.default_text.empty() || states(kind.example, key.name)) continue;
      const SourceDescription stated =
          folder.source(with_key(kind.example, key.name, key.default_text))->describe();
      EXPECT_EQ(stated.name, plain.name) << kind.name << ": " << key.name;
      EXPECT_EQ(stated.parameters, plain.parameters) << kind.name << ": " << key.name;
      ++count;
    }
  }
  EXPECT_GE(count, 11U);  // nine of structured, the layout of two kinds of files
}

TEST(SourceKinds, SayWhichRequiredKeyIsMissing) {
  const ExampleFolder folder;
  std::size_t count = 0;
  for (const SourceKind& kind : source_kinds()) {
    for (const SettingKey& key : kind.keys) {
      if (!key.is_required()) continue;
      ASSERT_TRUE(states(kind.example, key.name)) << kind.name << ": " << key.name;
      // Every key of the example but this one.
      std::string mapping = "{kind: " + kind.name + "}";
      for (const YamlEntry& entry : parse_yaml(kind.example, "").entries) {
        if (entry.key == "kind" || entry.key == key.name) continue;
        mapping = with_key(mapping, entry.key, entry.value.to_text());
      }
      EXPECT_EQ(folder.error(mapping), "source.yaml:1:1: " + kind.called + " " + kind.needs + " " +
                                           key.name + ": " + kind.example);
      ++count;
    }
  }
  EXPECT_GE(count, 4U);  // the file of safetensors, three of npy
}

TEST(SourceKinds, AreListedWhereOneIsUnknown) {
  const ExampleFolder folder;
  std::string names;
  for (const SourceKind& kind : source_kinds()) {
    names += (names.empty() ? "" : ", ") + kind.name;
    EXPECT_EQ(folder.error("{kind: " + kind.name + "x}"), "source.yaml:1:8: unknown kind \"" +
                                                              kind.name + "x\"; did you mean \"" +
                                                              kind.name + "\"?");
  }
  EXPECT_EQ(folder.error("{kind: x0123456789}"),
            "source.yaml:1:8: unknown kind \"x0123456789\"; known: " + names);
}

}  // namespace
}  // namespace maskerade
