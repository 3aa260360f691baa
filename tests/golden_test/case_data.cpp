#include "tests/golden_test/case_data.hpp"

#include <fmt/format.h>

#include <cstring>
#include <fstream>

#include "framework/base/error.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade::golden {
namespace {

using Json = nlohmann::json;

constexpr const char* kManifest = "manifest.json";

// Reads the fields of one case; every message names the manifest and the case.
class FieldReader {
 public:
  FieldReader(const std::string& manifest, const Json& json, std::string name)
      : manifest_(manifest), json_(json), name_(std::move(name)) {}

  template <typename Value>
  Value get(const char* field) const {
    return convert<Value>(field, json_.at(field));
  }
  template <typename Value>
  Value required(const char* field) const {
    if (!json_.contains(field)) refuse(fmt::format("has no field \"{}\"", field));
    return get<Value>(field);
  }
  // fallback when the field is missing or null.
  template <typename Value>
  Value optional(const char* field, Value fallback) const {
    if (!json_.contains(field) || json_.at(field).is_null()) return fallback;
    return get<Value>(field);
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw DataError(manifest_, "", fmt::format("case {} {}", name_, what));
  }

 private:
  template <typename Value>
  Value convert(const char* field, const Json& json) const {
    try {
      return json.get<Value>();
    } catch (const Json::exception& exception) {
      refuse(fmt::format("has a field \"{}\" of another type ({})", field, exception.what()));
    }
  }

  const std::string& manifest_;
  const Json& json_;
  std::string name_;
};

Case read_case(const std::string& manifest, const Json& json, std::size_t index) {
  const FieldReader place(manifest, json, fmt::format("number {}", index));
  if (!json.is_object()) place.refuse("is not an object");
  Case result;
  result.name = place.required<std::string>("case");
  const FieldReader fields(manifest, json, fmt::format("\"{}\"", result.name));
  result.file = fields.required<std::string>("file");
  result.family = fields.required<std::string>("family");
  if (!fields.required<Json>("tolerance").is_object()) {
    fields.refuse("has a \"tolerance\" that is not an object");
  }
  result.op = fields.optional<std::string>("op", "");
  result.mask_kinds = fields.optional<std::vector<std::string>>("mask_kind", {});
  result.batch = fields.optional<std::int64_t>("batch", 0);
  result.query_heads = fields.optional<std::int64_t>("query_heads", 0);
  result.kv_heads = fields.optional<std::int64_t>("kv_heads", 0);
  result.query_len = fields.optional<std::int64_t>("query_len", 0);
  result.key_len = fields.optional<std::int64_t>("key_len", 0);
  result.head_dim = fields.optional<std::int64_t>("head_dim", 0);
  result.scale = fields.optional<double>("scale", 0.0);
  result.causal = fields.optional<bool>("causal", false);
  result.edge = fields.optional<std::string>("edge", "");
  result.json = json;
  for (const Json& masker : fields.optional<Json>("maskers", Json::array())) {
    if (!masker.is_object()) fields.refuse("has a masker that is not an object");
    const FieldReader of_masker(manifest, masker, fmt::format("\"{}\", a masker,", result.name));
    result.maskers.push_back({of_masker.required<std::string>("name"),
                              of_masker.optional<Json>("params", Json::object()),
                              of_masker.optional<Json>("resolved", Json::object())});
  }
  return result;
}

template <typename Stored, typename Value>
std::vector<Value> convert(std::span<const std::byte> bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = static_cast<Value>(stored);
  }
  return values;
}

// The values of an integer type; nullopt when the type is another.
template <typename Value>
std::optional<std::vector<Value>> convert_integers(const std::string& dtype,
                                                   std::span<const std::byte> bytes) {
  if (dtype == "BOOL" || dtype == "U8") return convert<std::uint8_t, Value>(bytes);
  if (dtype == "I8") return convert<std::int8_t, Value>(bytes);
  if (dtype == "I16") return convert<std::int16_t, Value>(bytes);
  if (dtype == "I32") return convert<std::int32_t, Value>(bytes);
  if (dtype == "I64") return convert<std::int64_t, Value>(bytes);
  return std::nullopt;
}

}  // namespace

double Case::tolerance(const std::string& tolerance_name) const {
  const Json& tolerances = json.at("tolerance");
  const auto found = tolerances.find(tolerance_name);
  if (found == tolerances.end() || !found->is_number()) {
    throw DataError(kManifest, "",
                    fmt::format("case \"{}\" has no tolerance \"{}\"", name, tolerance_name));
  }
  return found->get<double>();
}

std::vector<Case> read_manifest(const std::filesystem::path& folder) {
  const std::string path = (folder / kManifest).string();
  std::ifstream stream(path);
  if (!std::filesystem::is_regular_file(path) || !stream) {
    throw DataError(
        path, "", "there is no such file; MASKERADE_GOLDEN_DIR must name a folder of golden cases");
  }
  Json manifest;
  try {
    manifest = Json::parse(stream);
  } catch (const Json::exception& exception) {
    throw DataError(path, "", fmt::format("this is not valid JSON ({})", exception.what()));
  }
  if (!manifest.is_object() || !manifest.contains("cases") || !manifest["cases"].is_array()) {
    throw DataError(path, "", "the manifest has no list \"cases\"");
  }
  if (manifest.value("format_version", Json()) != 1) {
    throw DataError(path, "", "the manifest's format_version is not 1, the one that is known");
  }
  if (manifest["cases"].empty()) throw DataError(path, "", "the manifest lists no case");
  std::vector<Case> cases;
  for (const Json& json : manifest["cases"]) cases.push_back(read_case(path, json, cases.size()));
  return cases;
}

std::vector<float> CaseTensors::floats(const std::string& name) const {
  const SafetensorsEntry& entry = file_.entry(name);
  const std::vector<std::byte> bytes = file_.read_bytes(entry);
  if (entry.dtype == "F32") return convert<float, float>(bytes);
  if (entry.dtype == "F64") return convert<double, float>(bytes);
  if (auto values = convert_integers<float>(entry.dtype, bytes)) return *std::move(values);
  const std::optional<DType> half = entry.dtype == "F16"    ? std::optional(DType::kFloat16)
                                    : entry.dtype == "BF16" ? std::optional(DType::kBFloat16)
                                                            : std::nullopt;
  if (!half) throw DataError("golden case", name, "its type is " + entry.dtype);
  const std::vector<std::uint16_t> stored = convert<std::uint16_t, std::uint16_t>(bytes);
  std::vector<float> values(stored.size());
  convert_to_float(*half, stored.data(), stored.size(), values.data());
  return values;
}

std::vector<std::int64_t> CaseTensors::integers(const std::string& name) const {
  const SafetensorsEntry& entry = file_.entry(name);
  auto values = convert_integers<std::int64_t>(entry.dtype, file_.read_bytes(entry));
  if (!values) {
    throw DataError("golden case", name,
                    fmt::format("its type is {}; integers were expected", entry.dtype));
  }
  return *std::move(values);
}

}  // namespace maskerade::golden
