#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade::golden {

// One masker of a case, as the published code calls its parameters.
struct CaseMasker {
  std::string name;
  nlohmann::json params = nlohmann::json::object();
  nlohmann::json resolved = nlohmann::json::object();  // sizes as numbers of keys
};

// One case as the manifest describes it. Sizes that have no meaning for it are 0.
struct Case {
  std::string name;
  std::string file;
  std::string family;
  std::string op;  // of mask_ops
  std::vector<std::string> mask_kinds;
  std::vector<CaseMasker> maskers;
  std::int64_t batch = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t query_len = 0;
  std::int64_t key_len = 0;
  std::int64_t head_dim = 0;
  double scale = 0;
  bool causal = false;
  std::string edge;
  nlohmann::json json;  // the whole entry

  // A number of the case's tolerance. Throws DataError when it has none of that name.
  double tolerance(const std::string& name) const;
  bool has_edge(const std::string& word) const { return edge.find(word) != std::string::npos; }
};

// The manifest of a folder. Throws DataError when it is missing, no JSON, or a case lacks a field.
std::vector<Case> read_manifest(const std::filesystem::path& folder);

// The tensors of a case.
class CaseTensors {
 public:
  explicit CaseTensors(const std::filesystem::path& file) : file_(SafetensorsFile::open(file)) {}

  bool has(const std::string& name) const noexcept { return file_.contains(name); }
  // Row-major values of any stored type; integers also as reals. Throw DataError when there is none
  // of that name, or on a type that does not convert exactly.
  std::vector<float> floats(const std::string& name) const;
  std::vector<std::int64_t> integers(const std::string& name) const;
  std::vector<std::int64_t> shape(const std::string& name) const { return file_.entry(name).shape; }
  // q, k, v.
  Tensor tensor(const std::string& name) const { return file_.tensor(name); }

 private:
  SafetensorsFile file_;
};

}  // namespace maskerade::golden
