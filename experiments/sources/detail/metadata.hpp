#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/sources/source.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// What the metadata of a safetensors file says of the attention that it holds. Each function gives
// nullopt where the file does not say, and throws DataError on a text of another form.
class Metadata {
 public:
  // `file` is its name, for messages; `texts` must outlive this object.
  Metadata(std::string file, const std::map<std::string, std::string>& texts)
      : file_(std::move(file)), texts_(texts) {}

  std::optional<bool> causal() const;                                // "true", "false"
  std::optional<float> scale() const;                                // "0.125"
  std::optional<std::int64_t> layer() const;                         // "5"
  std::optional<std::vector<std::int64_t>> query_positions() const;  // "[0, 17, 511]"
  // How positions were applied: "rope_style" ("half", "interleaved", "none") and
  // "rope_attention_scale". read_frequencies is asked for the rest unless nothing was turned; what
  // it throws is thrown on.
  std::optional<Rope> rope(const std::function<std::vector<float>()>& read_frequencies) const;

  // What programs that dump attention write beside it, in names and forms of their own. A text of
  // no known form says nothing.
  std::optional<TensorLayout> layout() const;  // "blhd", "BSHD", "[batch, length, heads, head_dim]"
  std::vector<StoredSize> sizes() const;       // "num_heads": "12"

 private:
  const std::string* find(const std::string& key) const;
  [[noreturn]] void refuse(const char* key, const std::string& text, const char* form) const;

  std::string file_;
  const std::map<std::string, std::string>& texts_;
};

}  // namespace maskerade
