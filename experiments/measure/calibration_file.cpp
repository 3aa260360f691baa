#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/calibration.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/error.hpp"
#include "framework/base/sha256.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double KernelRates::*>, 6> kFields = {
    {{"row_block", &KernelRates::row_block},
     {"component", &KernelRates::component},
     {"gathered_component", &KernelRates::gathered_component},
     {"entry", &KernelRates::entry},
     {"masked_entry", &KernelRates::masked_entry},
     {"product", &KernelRates::product}}};
constexpr std::array<DType, 3> kDTypes = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};

Json json_of(const KernelRates& rates) {
  Json json = Json::object();
  for (const auto& [name, field] : kFields) json[name] = rates.*field;
  return json;
}

KernelRates rates_of(const Json& json) {
  KernelRates rates;
  for (const auto& [name, field] : kFields) {
    rates.*field = json.at(name).get<double>();
    if (!std::isfinite(rates.*field) || rates.*field < 0) {
      throw DataError("", "", fmt::format("{} is not a number >= 0", name));
    }
  }
  return rates;
}

}  // namespace

CalibrationFile::CalibrationFile(std::filesystem::path folder) {
  if (folder.empty()) return;
  path_ = std::move(folder) /
          fmt::format("cost_model_{}.json",
                      sha256_hex(machine_name() + "\n" + program_version()).substr(0, 16));
}

std::optional<CostModel> CalibrationFile::load(std::string& problem) const {
  problem.clear();
  try {
    const std::optional<std::string> text = read_cache_file(path_);
    if (!text) return std::nullopt;
    const Json json = Json::parse(*text);
    if (json.at("machine") != machine_name() || json.at("program_version") != program_version()) {
      problem =
          path_.string() + " was written on another machine or by another version of the program";
      return std::nullopt;
    }
    CostModel costs;
    costs.origin = json.at("origin").get<std::string>();
    for (const DType dtype : kDTypes) {
      const Json& rates = json.at("nanoseconds").at(std::string(name_of(dtype)));
      costs.of(dtype) = {rates_of(rates.at("decode")), rates_of(rates.at("few_rows")),
                         rates_of(rates.at("many_rows"))};
    }
    return costs;
  } catch (const std::exception&) {
    problem = path_.string() + " is not a calibration that can be read";
    return std::nullopt;
  }
}

void CalibrationFile::save(const Calibration& calibration) const {
  Json json;
  json["machine"] = machine_name();
  json["program_version"] = program_version();
  json["origin"] = calibration.costs.origin;
  json["threads"] = calibration.threads;
  json["worst_fit"] = calibration.worst_fit;
  for (const DType dtype : kDTypes) {
    const CostModel::Rates& rates = calibration.costs.of(dtype);
    json["nanoseconds"][std::string(name_of(dtype))] = {{"decode", json_of(rates.decode)},
                                                        {"few_rows", json_of(rates.few_rows)},
                                                        {"many_rows", json_of(rates.many_rows)}};
  }
  replace_cache_file(path_, json.dump(2) + "\n");
}

}  // namespace maskerade
