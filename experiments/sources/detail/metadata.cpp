#include "experiments/sources/detail/metadata.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "framework/base/decimal.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

std::optional<std::int64_t> parse_whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::optional<std::vector<std::int64_t>> parse_list(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<std::int64_t> values;
  while (true) {
    const std::size_t comma = text.find(',');
    const auto value = parse_whole(trim(text.substr(0, comma)));
    if (!value) return std::nullopt;
    values.push_back(*value);
    if (comma == std::string_view::npos) return values;
    text = text.substr(comma + 1);
  }
}

}  // namespace

std::optional<bool> Metadata::causal() const {
  const std::string* text = find("causal");
  if (text == nullptr) return std::nullopt;
  if (*text != "true" && *text != "false") refuse("causal", *text, "true or false");
  return *text == "true";
}

std::optional<float> Metadata::scale() const {
  const std::string* text = find("scale");
  if (text == nullptr) return std::nullopt;
  const std::optional<float> scale = parse_positive_float(*text);
  if (!scale) refuse("scale", *text, kPositiveFloatForm);
  return scale;
}

std::optional<std::int64_t> Metadata::layer() const {
  const std::string* text = find("layer");
  if (text == nullptr) return std::nullopt;
  const std::optional<std::int64_t> value = parse_whole(*text);
  if (!value || *value < 0 || *value > std::numeric_limits<std::int32_t>::max()) {
    refuse("layer", *text, "a whole number from 0");
  }
  return value;
}

std::optional<std::vector<std::int64_t>> Metadata::query_positions() const {
  const std::string* text = find("query_positions");
  if (text == nullptr) return std::nullopt;
  std::optional<std::vector<std::int64_t>> values = parse_list(*text);
  if (!values) refuse("query_positions", *text, "a list of whole numbers: [0, 17, 511]");
  return values;
}

std::optional<Rope> Metadata::rope(
    const std::function<std::vector<float>()>& read_frequencies) const {
  const std::string* style = find("rope_style");
  if (style == nullptr) return std::nullopt;
  if (*style == "none") return Rope();
  Rope rope;
  if (*style == "interleaved") {
    rope.pairs = Rope::Pairs::kNeighbours;
  } else if (*style != "half") {
    refuse("rope_style", *style, "half, interleaved or none");
  }
  if (const std::string* text = find("rope_attention_scale"); text != nullptr) {
    const std::optional<float> scale = parse_positive_float(*text);
    if (!scale) refuse("rope_attention_scale", *text, kPositiveFloatForm);
    rope.scale = *scale;
  }
  rope.frequencies = read_frequencies();
  return rope;
}

std::optional<TensorLayout> Metadata::layout() const {
  const std::string* text = find("layout");
  if (text == nullptr) return std::nullopt;
  std::string axes;
  for (const char c : *text) {
    if (c >= 'A' && c <= 'Z') axes += static_cast<char>(c - 'A' + 'a');
    if (c >= 'a' && c <= 'z') axes += c;
  }
  for (const char* heads_first :
       {"bhld", "bhsd", "bhtd", "bhnd", "hld", "hsd", "htd", "hnd", "batchheadslengthheaddim",
        "batchheadsseqlenheaddim", "batchheadstokensheaddim"}) {
    if (axes == heads_first) return TensorLayout::kBhld;
  }
  for (const char* heads_last :
       {"blhd", "bshd", "bthd", "bnhd", "lhd", "shd", "thd", "nhd", "batchlengthheadsheaddim",
        "batchseqlenheadsheaddim", "batchtokensheadsheaddim"}) {
    if (axes == heads_last) return TensorLayout::kBlhd;
  }
  return std::nullopt;
}

std::vector<StoredSize> Metadata::sizes() const {
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"batch_size", "batch"},
      {"query_heads", "query_heads"},
      {"num_heads", "query_heads"},
      {"n_heads", "query_heads"},
      {"n_head", "query_heads"},
      {"heads", "query_heads"},
      {"num_attention_heads", "query_heads"},
      {"num_query_heads", "query_heads"},
      {"num_q_heads", "query_heads"},
      {"kv_heads", "kv_heads"},
      {"n_kv_heads", "kv_heads"},
      {"num_kv_heads", "kv_heads"},
      {"num_key_value_heads", "kv_heads"},
      {"query_len", "query_len"},
      {"q_len", "query_len"},
      {"num_queries", "query_len"},
      {"key_len", "key_len"},
      {"kv_len", "key_len"},
      {"seq_len", "key_len"},
      {"seqlen", "key_len"},
      {"sequence_length", "key_len"},
      {"tokens", "key_len"},
      {"num_tokens", "key_len"},
      {"head_dim", "head_dim"},
      {"head_size", "head_dim"},
      {"d_head", "head_dim"}};
  std::vector<StoredSize> sizes;
  for (const auto& [name, size] : kNames) {
    const std::string* text = find(name);
    if (text == nullptr) continue;
    if (const auto value = parse_whole(trim(*text))) sizes.push_back({name, size, *value});
  }
  return sizes;
}

const std::string* Metadata::find(const std::string& key) const {
  const auto found = texts_.find(key);
  return found == texts_.end() ? nullptr : &found->second;
}

void Metadata::refuse(const char* key, const std::string& text, const char* form) const {
  constexpr std::size_t kShown = 60;
  throw DataError(file_, "",
                  fmt::format("__metadata__ \"{}\" is \"{}\"; it must be {}", key,
                              text.size() > kShown ? text.substr(0, kShown) + "..." : text, form));
}

}  // namespace maskerade
