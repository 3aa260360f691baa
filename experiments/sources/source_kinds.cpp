#include "experiments/sources/source_kinds.hpp"

namespace maskerade {

// Each is defined in the file of its name. A new kind is such a file, listed in CMakeLists.txt, a
// declaration here, its row below, and its table in experiments/README.md, which a test compares.
SourceKind gaussian_source();
SourceKind structured_source();
SourceKind safetensors_source();
SourceKind npy_source();

const std::vector<SourceKind>& source_kinds() {
  static const std::vector<SourceKind> kKinds = {
      gaussian_source(),
      structured_source(),
      safetensors_source(),
      npy_source(),
  };
  return kKinds;
}

const SourceKind* find_source_kind(std::string_view name) {
  for (const SourceKind& kind : source_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace maskerade
