#include "experiments/check/new_masker.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "experiments/config/experiment.hpp"
#include "framework/base/error.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade::check {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class NewMaskerFolder : public testing::Test {
 protected:
  NewMaskerFolder()
      : folder_(fs::path(testing::TempDir()) /
                ("maskerade_new_" + std::to_string(getpid()) + "_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {}
  ~NewMaskerFolder() override { fs::remove_all(folder_); }

  std::string refusal_of(const NewMasker& masker) const {
    try {
      write_new_masker(masker);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(NewMaskerFolder, IsTheTemplateUnderItsName) {
  for (const std::string& base : masker_bases()) {
    const std::string name = "far_" + base;
    const fs::path made = write_new_masker({.name = name, .base = base, .folder = folder_});
    EXPECT_EQ(made, folder_ / name);
    for (const char* file : {"CMakeLists.txt", "README.md"}) {
      EXPECT_NE(read(made / file).find(name), std::string::npos) << file;
    }
    for (const auto& file : fs::directory_iterator(made)) {
      const std::string text = read(file.path());
      EXPECT_EQ(text.find("my_"), text.find("my_machine")) << file.path() << "\n" << text;
      EXPECT_EQ(text.find("My"), std::string::npos) << file.path();
    }
    const std::string source = read(made / (name + ".cpp"));
    EXPECT_NE(source.find(".id = \"" + name + "\""), std::string::npos) << source;
    EXPECT_NE(source.find("MASKERADE_EXPORT_MASKER(Far"), std::string::npos) << source;
  }
}

// So what compiles the templates, and checks what they select, does so for what is written.
TEST_F(NewMaskerFolder, OfATemplatesNameIsTheTemplate) {
  Catalog catalog;
  catalog.load_folder(MASKERADE_BUILT_IN_PLUGINS, true);
  for (const char* base : {"row", "score", "block", "candidate", "whole"}) {
    const std::string stem =
        base == std::string("row") ? "my_masker" : fmt::format("my_{}_masker", base);
    const fs::path made = write_new_masker({.name = stem, .base = base, .folder = folder_});
    for (const std::string& file : {stem + ".cpp", stem + ".yaml"}) {
      EXPECT_EQ(read(made / file), read(fs::path(MASKERADE_TEMPLATES) / file)) << file;
    }
    if (stem != "my_masker") {
      catalog.load(fs::path(MASKERADE_CHECK_PLUGINS) / (stem + ".so"));
    }
    const Experiment experiment = read_experiment(made / (stem + ".yaml"), {}, catalog);
    EXPECT_EQ(experiment.name, stem);
    EXPECT_EQ(experiment.pipelines.size(), 3U);
  }
}

TEST_F(NewMaskerFolder, AsksForThePackageOfThisAbi) {
  const fs::path made = write_new_masker({.name = "far", .folder = folder_});
  EXPECT_NE(read(made / "CMakeLists.txt")
                .find(fmt::format("find_package(maskerade {}.{} REQUIRED)", MASKERADE_ABI_MAJOR,
                                  MASKERADE_ABI_MINOR)),
            std::string::npos);
}

TEST_F(NewMaskerFolder, IsRefusedWithWhatWouldBeRight) {
  EXPECT_EQ(refusal_of({.name = "My-Band", .folder = folder_}),
            "\"My-Band\" cannot be the name of a masker: small letters, digits and _, a letter "
            "first, as in my_band");
  EXPECT_EQ(refusal_of({.name = "", .folder = folder_}).substr(0, 22), "\"\" cannot be the name ");
  EXPECT_EQ(refusal_of({.name = "sink", .folder = folder_, .taken = {"local", "sink"}}),
            "there is a masker \"sink\" already (maskerade list sink); choose another name");
  EXPECT_EQ(refusal_of({.name = "far", .base = "rows", .folder = folder_}),
            "there is no base \"rows\"; did you mean \"row\"?");
  EXPECT_FALSE(fs::exists(folder_));
  write_new_masker({.name = "far", .folder = folder_});
  EXPECT_EQ(refusal_of({.name = "far", .folder = folder_}),
            (folder_ / "far").string() +
                " is there already; choose another name, or another folder with --out");
}

}  // namespace
}  // namespace maskerade::check
