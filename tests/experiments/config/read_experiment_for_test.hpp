#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/config/lookup_for_test.hpp"

namespace maskerade {

// The catalog of the maskers in test_masker.c.
inline const Catalog& test_catalog() {
  static const Catalog catalog = [] {
    Catalog loaded;
    loaded.load_folder(TEST_MASKERS, true);
    return loaded;
  }();
  return catalog;
}

// A temporary folder for one test's files; it is removed with the object.
class ExperimentFolder {
 public:
  ExperimentFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "maskerade_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  ~ExperimentFolder() { std::filesystem::remove_all(path_); }
  ExperimentFolder(const ExperimentFolder&) = delete;
  ExperimentFolder& operator=(const ExperimentFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

  // Reads `text` as the experiment file x.yaml in the folder. Throws ConfigError.
  Experiment read(const std::string& text, const std::vector<Assignment>& assignments = {}) const {
    write("x.yaml", text);
    return read_experiment(path_ / "x.yaml", assignments, test_catalog());
  }

  // The message of the ConfigError that reading `text` throws, without the folder's name;
  // "accepted" when it throws none.
  std::string error(const std::string& text,
                    const std::vector<Assignment>& assignments = {}) const {
    try {
      read(text, assignments);
    } catch (const ConfigError& error) {
      std::string message = error.what();
      const std::string folder = path_.string() + "/";
      for (std::size_t at = message.find(folder); at != std::string::npos;
           at = message.find(folder)) {
        message.erase(at, folder.size());
      }
      return message;
    }
    return "accepted";
  }

 private:
  std::filesystem::path path_;
};

}  // namespace maskerade
