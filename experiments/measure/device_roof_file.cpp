#include "experiments/measure/device_roof_file.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/error.hpp"
#include "framework/base/sha256.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::ordered_json;

double rate_of(const Json& json, const char* name) {
  const double rate = json.at(name).get<double>();
  if (!std::isfinite(rate) || rate <= 0) throw Error(fmt::format("{} is not a number > 0", name));
  return rate;
}

}  // namespace

DeviceRoofFile::DeviceRoofFile(std::filesystem::path folder, std::string device)
    : device_(std::move(device)) {
  if (folder.empty()) return;
  path_ =
      std::move(folder) / fmt::format("device_roofs_{}.json",
                                      sha256_hex(device_ + "\n" + program_version()).substr(0, 16));
}

std::optional<DeviceRoofs> DeviceRoofFile::load(std::string& problem) const {
  problem.clear();
  try {
    const std::optional<std::string> text = read_cache_file(path_);
    if (!text) return std::nullopt;
    const Json json = Json::parse(*text);
    if (json.at("device") != device_ || json.at("program_version") != program_version()) {
      problem =
          path_.string() + " was written for another device or by another version of the program";
      return std::nullopt;
    }
    return DeviceRoofs{.copy_bytes_per_second = rate_of(json, "copy_bytes_per_second"),
                       .l2_read_bytes_per_second = rate_of(json, "l2_read_bytes_per_second"),
                       .matrix_flops_per_second = rate_of(json, "matrix_flops_per_second"),
                       .matrix_source = json.at("matrix_source").get<std::string>()};
  } catch (const std::exception&) {
    problem = path_.string() + " holds no roofs of a device that can be read";
    return std::nullopt;
  }
}

void DeviceRoofFile::save(const DeviceRoofs& roofs) const {
  Json json;
  json["device"] = device_;
  json["program_version"] = program_version();
  json["copy_bytes_per_second"] = roofs.copy_bytes_per_second;
  json["l2_read_bytes_per_second"] = roofs.l2_read_bytes_per_second;
  json["matrix_flops_per_second"] = roofs.matrix_flops_per_second;
  json["matrix_source"] = roofs.matrix_source;
  replace_cache_file(path_, json.dump(2) + "\n");
}

}  // namespace maskerade
