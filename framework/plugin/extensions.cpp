#include "framework/plugin/extensions.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>

#include "framework/base/error.hpp"
#include "framework/plugin/own_layout.hpp"

namespace maskerade {
namespace {

template <typename Struct>
constexpr bool has_grown_only(const KnownExtension<Struct>& known) {
  return known.least_bytes <= sizeof(Struct);
}
static_assert(std::apply([](const auto&... known) { return (has_grown_only(known) && ...); },
                         kKnownExtensions),
              "a struct of the ABI must not shrink");

// The extension of one row, if the plugin has it.
template <typename Struct>
std::optional<Struct> fetch(const maskerade_masker_descriptor& masker,
                            const KnownExtension<Struct>& known) {
  static_assert(offsetof(Struct, struct_size) == 0);
  const void* const found = masker.get_extension(known.name);
  if (found == nullptr) return std::nullopt;
  std::uint32_t size = 0;
  std::memcpy(&size, found, sizeof(size));
  if (size < known.least_bytes) {
    throw Error(fmt::format("its {} extension says struct_size {}, not sizeof({}), {}", known.title,
                            size, known.struct_name, known.least_bytes));
  }
  const Struct extension = in_own_layout<Struct>(found, size);
  const std::string defect = known.defect(masker, extension);
  if (!defect.empty()) throw Error(defect);
  return extension;
}

}  // namespace

std::string index_defect(const maskerade_masker_descriptor& masker,
                         const maskerade_index_extension& index) {
  if ((masker.depends_on & MASKERADE_DEPENDS_KEY) == 0) {
    return "it has an index but its depends_on lacks MASKERADE_DEPENDS_KEY; an index is made of "
           "keys";
  }
  if (index.build == nullptr || index.append == nullptr || index.truncate == nullptr ||
      index.size_bytes == nullptr || index.destroy == nullptr) {
    return "a function of its index extension is NULL; all five are needed";
  }
  return "";
}

std::string cuda_defect(const maskerade_masker_descriptor& masker,
                        const maskerade_cuda_extension& cuda) {
  if (cuda.bounds == nullptr || cuda.select == nullptr) {
    return "bounds or select of its cuda extension is NULL; both are needed";
  }
  if (cuda.index_data == nullptr && masker.get_extension(MASKERADE_EXTENSION_INDEX) != nullptr) {
    return "it has an index, but index_data of its cuda extension is NULL";
  }
  return "";
}

std::string build_defect(const maskerade_masker_descriptor&,
                         const maskerade_build_extension& build) {
  return build.compiler == nullptr ? "compiler of its build extension is NULL; give a text" : "";
}

Extensions::Extensions(const maskerade_masker_descriptor& masker) {
  if (masker.get_extension == nullptr) return;
  std::apply(
      [&](const auto&... known) {
        const auto read = [&]<typename Struct>(const KnownExtension<Struct>& row) {
          std::get<std::optional<Struct>>(found_) = fetch(masker, row);
        };
        (read(known), ...);
      },
      kKnownExtensions);
}

}  // namespace maskerade
