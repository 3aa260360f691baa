#include "framework/tensor_files/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/tensor_files/data_file.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

// The format's element types that take whole bytes, with their size in bytes.
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 16> kTypeBytes = {{{"BOOL", 1},
                                                                                    {"U8", 1},
                                                                                    {"I8", 1},
                                                                                    {"F8_E4M3", 1},
                                                                                    {"F8_E5M2", 1},
                                                                                    {"F8_E8M0", 1},
                                                                                    {"U16", 2},
                                                                                    {"I16", 2},
                                                                                    {"F16", 2},
                                                                                    {"BF16", 2},
                                                                                    {"U32", 4},
                                                                                    {"I32", 4},
                                                                                    {"F32", 4},
                                                                                    {"U64", 8},
                                                                                    {"I64", 8},
                                                                                    {"F64", 8}}};

std::optional<std::uint64_t> type_bytes(std::string_view dtype) {
  for (const auto& [name, bytes] : kTypeBytes) {
    if (name == dtype) return bytes;
  }
  return std::nullopt;
}

// The storage type of q, k and v that an element type is; nothing when it is none.
std::optional<DType> storage_type(std::string_view dtype) {
  if (dtype == "F32") return DType::kFloat32;
  if (dtype == "F16") return DType::kFloat16;
  if (dtype == "BF16") return DType::kBFloat16;
  return std::nullopt;
}

// The header as JSON. Throws DataError when it is no JSON object, or when an object in it has a key
// twice, of which the JSON library would drop one.
Json parse_header(const std::string& file, std::string_view text) {
  std::vector<std::set<std::string>> open_objects;
  std::string duplicate;
  const auto callback = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open_objects.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open_objects.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto name = parsed.get<std::string>();
      if (!open_objects.back().insert(name).second && duplicate.empty()) duplicate = name;
    }
    return true;
  };
  Json header;
  try {
    header = Json::parse(text, callback);
  } catch (const Json::exception& exception) {
    throw DataError(file, "", fmt::format("the header is not valid JSON ({})", exception.what()));
  }
  if (!duplicate.empty()) {
    throw DataError(file, "", fmt::format("the header has \"{}\" twice", duplicate));
  }
  if (!header.is_object()) {
    throw DataError(file, "", "the header is not a JSON object of tensors");
  }
  return header;
}

// The bytes of a tensor of this shape; nothing when their number overflows.
std::optional<std::uint64_t> shape_bytes(const std::vector<std::int64_t>& shape,
                                         std::uint64_t element_bytes) {
  std::uint64_t bytes = element_bytes;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

// Reads the header's entries. Its errors are DataErrors that name the file and the tensor.
class EntryReader {
 public:
  EntryReader(const std::string& file, std::uint64_t data_bytes)
      : file_(file), data_bytes_(data_bytes) {}

  SafetensorsEntry read(const std::string& name, const Json& json) const {
    if (!json.is_object()) refuse(name, "its header entry is not an object");
    SafetensorsEntry entry;
    entry.name = name;
    const Json& dtype = field(name, json, "dtype");
    if (!dtype.is_string()) refuse(name, "dtype is not a string");
    entry.dtype = dtype.get<std::string>();
    const Json& shape = field(name, json, "shape");
    if (!shape.is_array()) refuse(name, "shape is not a list of whole numbers");
    for (const Json& size : shape) {
      if (!size.is_number_unsigned() ||
          size.get<std::uint64_t>() >
              static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        refuse(name, "shape is not a list of whole numbers");
      }
      entry.shape.push_back(size.get<std::int64_t>());
    }
    read_offsets(name, field(name, json, "data_offsets"), entry);
    check_size(entry);
    return entry;
  }

  // Throws DataError unless the tensors lie one after the other and cover all the data.
  void check_cover(std::vector<SafetensorsEntry> entries) const {
    std::sort(
        entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
          return std::pair(a.begin_bytes, a.end_bytes) < std::pair(b.begin_bytes, b.end_bytes);
        });
    std::uint64_t end = 0;
    for (const SafetensorsEntry& entry : entries) {
      if (entry.begin_bytes < end) {
        refuse(
            entry.name,
            fmt::format("its data begins at byte {}, inside the tensor before it, which ends at {}",
                        entry.begin_bytes, end));
      }
      if (entry.begin_bytes > end) {
        refuse(entry.name,
               fmt::format("there is a hole before it: bytes {} to {} belong to no tensor", end,
                           entry.begin_bytes));
      }
      end = entry.end_bytes;
    }
    if (end != data_bytes_) {
      throw DataError(file_, "",
                      fmt::format("the tensors end at byte {} of the data, which has {} bytes", end,
                                  data_bytes_));
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& message) const {
    throw DataError(file_, name, message);
  }

  const Json& field(const std::string& name, const Json& json, const char* key) const {
    const auto found = json.find(key);
    if (found == json.end()) refuse(name, fmt::format("its header entry has no {}", key));
    return *found;
  }

  void read_offsets(const std::string& name, const Json& offsets, SafetensorsEntry& entry) const {
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      refuse(name, "data_offsets is not a pair of whole numbers");
    }
    entry.begin_bytes = offsets[0].get<std::uint64_t>();
    entry.end_bytes = offsets[1].get<std::uint64_t>();
    if (entry.begin_bytes > entry.end_bytes || entry.end_bytes > data_bytes_) {
      refuse(name, fmt::format("data_offsets [{}, {}] do not lie in the data, which has {} bytes",
                               entry.begin_bytes, entry.end_bytes, data_bytes_));
    }
  }

  void check_size(const SafetensorsEntry& entry) const {
    const std::optional<std::uint64_t> element_bytes = type_bytes(entry.dtype);
    if (!element_bytes)
      return;  // an unknown type: the tensor is listed, and refused when it is used
    const std::optional<std::uint64_t> bytes = shape_bytes(entry.shape, *element_bytes);
    const std::uint64_t stored = entry.end_bytes - entry.begin_bytes;
    if (bytes != stored) {
      refuse(entry.name, fmt::format("shape [{}] of {} takes {} bytes, but data_offsets give {}",
                                     fmt::join(entry.shape, ", "), entry.dtype,
                                     bytes ? std::to_string(*bytes) : "too many", stored));
    }
  }

  const std::string& file_;
  std::uint64_t data_bytes_;
};

std::map<std::string, std::string> read_metadata(const std::string& file, const Json& json) {
  std::map<std::string, std::string> metadata;
  if (!json.is_object()) throw DataError(file, "", "__metadata__ is not an object of strings");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      throw DataError(file, "", fmt::format("__metadata__ \"{}\" is not a string", key));
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

}  // namespace

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  SafetensorsFile file(DataFile::open(path.string()));
  const std::string& name = file.file_.name();
  const std::uint64_t size = file.file_.size();
  if (size < kLengthBytes) {
    throw DataError(name, "",
                    fmt::format("the file has {} bytes; a safetensors file begins with 8 bytes of "
                                "header length",
                                size));
  }
  std::array<std::byte, kLengthBytes> length{};
  file.file_.read(0, length);
  std::uint64_t header_bytes = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    header_bytes |= std::to_integer<std::uint64_t>(length[i]) << (8 * i);
  }
  const std::uint64_t rest = size - kLengthBytes;
  if (header_bytes > kMaxHeaderBytes || header_bytes > rest) {
    throw DataError(
        name, "",
        fmt::format("the file says that its header has {} bytes; {} follow and the limit is {}, so "
                    "this is no safetensors file or a truncated one",
                    header_bytes, rest, kMaxHeaderBytes));
  }
  std::string text(header_bytes, '\0');
  file.file_.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  const Json header = parse_header(name, text);
  const EntryReader reader(name, rest - header_bytes);
  for (const auto& [key, json] : header.items()) {
    if (key == "__metadata__") {
      file.metadata_ = read_metadata(name, json);
    } else {
      file.entries_.push_back(reader.read(key, json));
    }
  }
  reader.check_cover(file.entries_);
  file.data_begin_ = kLengthBytes + header_bytes;
  return file;
}

bool SafetensorsFile::contains(const std::string& name) const noexcept {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const SafetensorsEntry& entry) { return entry.name == name; });
}

std::vector<std::byte> SafetensorsFile::read_bytes(const SafetensorsEntry& entry) const {
  std::vector<std::byte> bytes(entry.end_bytes - entry.begin_bytes);
  file_.read(data_begin_ + entry.begin_bytes, bytes);
  return bytes;
}

const SafetensorsEntry& SafetensorsFile::entry(const std::string& name) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(),
                   [&](const SafetensorsEntry& entry) { return entry.name == name; });
  if (found == entries_.end()) {
    constexpr std::size_t kListed = 24;
    std::vector<std::string> names;
    for (const SafetensorsEntry& entry : entries_) names.push_back(entry.name);
    const auto listed = std::span(names).first(std::min(names.size(), kListed));
    // Any two names of one or two letters are near each other, so a suggestion would say nothing.
    const std::string nearest = name.size() < 3 ? "" : nearest_name(name, names);
    throw DataError(
        file_.name(), name,
        fmt::format(
            "there is no such tensor; the file has: {}{}{}",
            names.empty() ? "none" : fmt::format("{}", fmt::join(listed, ", ")),
            names.size() > kListed ? fmt::format(" and {} more", names.size() - kListed) : "",
            nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
  }
  return *found;
}

TensorView SafetensorsFile::describe(const std::string& name, TensorLayout layout) const {
  const SafetensorsEntry& entry = this->entry(name);
  const std::optional<DType> dtype = storage_type(entry.dtype);
  if (!dtype) {
    throw DataError(file_.name(), name,
                    fmt::format("its type is {}; it must be F32, F16 or BF16", entry.dtype));
  }
  if (!is_attention_shape(entry.shape)) {
    throw DataError(file_.name(), name,
                    fmt::format("its shape is [{}]; it must be {}, each at least 1",
                                fmt::join(entry.shape, ", "), axes_of(layout)));
  }
  return view_of_layout(nullptr, *dtype, entry.shape, layout);
}

Tensor SafetensorsFile::tensor(const std::string& name, TensorLayout layout) const {
  const std::uint64_t begin = data_begin_ + entry(name).begin_bytes;
  return read_tensor(file_, begin, describe(name, layout));
}

std::vector<std::int64_t> SafetensorsFile::integers(const std::string& name) const {
  const SafetensorsEntry& entry = this->entry(name);
  if (entry.dtype != "I64" && entry.dtype != "I32") {
    throw DataError(file_.name(), name,
                    fmt::format("its type is {}; it must be I64 or I32", entry.dtype));
  }
  return load_integers(read_bytes(entry), entry.dtype == "I64" ? 8 : 4);
}

}  // namespace maskerade
