#include "experiments/sources/source.hpp"

namespace maskerade {

std::string StoredTensor::short_name() const {
  return name.empty() ? std::filesystem::path(file).filename().string() : name;
}

}  // namespace maskerade
