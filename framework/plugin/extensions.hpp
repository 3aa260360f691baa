#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "framework/sdk/masker_abi.h"

namespace maskerade {

// One row of the table of extensions: a struct of masker_abi.h, and what a plugin's must be like.
template <typename Struct>
struct KnownExtension {
  const char* name;           // versioned: what get_extension() of a plugin is asked for
  const char* title;          // in messages
  const char* struct_name;    // likewise
  std::uint32_t least_bytes;  // the size of the struct in the ABI version that brought it
  // What is wrong with the extension of a masker, and what would be right; "" when it is whole.
  std::string (*defect)(const maskerade_masker_descriptor& masker, const Struct& extension);
};

std::string index_defect(const maskerade_masker_descriptor& masker,
                         const maskerade_index_extension& index);
std::string cuda_defect(const maskerade_masker_descriptor& masker,
                        const maskerade_cuda_extension& cuda);

std::string build_defect(const maskerade_masker_descriptor& masker,
                         const maskerade_build_extension& build);

// All extensions that this program knows: a new one is a row here, and its check. Plugins are asked
// for these names and for no others, so that they may have extensions that nobody here knows.
inline constexpr std::tuple kKnownExtensions = {
    KnownExtension<maskerade_index_extension>{MASKERADE_EXTENSION_INDEX, "index",
                                              "maskerade_index_extension", 48, index_defect},
    KnownExtension<maskerade_cuda_extension>{MASKERADE_EXTENSION_CUDA, "cuda",
                                             "maskerade_cuda_extension", 32, cuda_defect},
    KnownExtension<maskerade_build_extension>{MASKERADE_EXTENSION_BUILD, "build",
                                              "maskerade_build_extension", 16, build_defect}};

// The known extensions of one plugin, in this program's layout whatever minor version the plugin
// was built for: functions that it lacks are null. A value; what it points to is the plugin's.
class Extensions {
 public:
  // Asks the plugin for each row of the table. Throws Error when one is not whole.
  explicit Extensions(const maskerade_masker_descriptor& masker);

  // The extension of that struct, or nullptr. A struct without a row in the table does not compile.
  template <typename Struct>
  const Struct* get() const noexcept {
    const std::optional<Struct>& found = std::get<std::optional<Struct>>(found_);
    return found ? &*found : nullptr;
  }

 private:
  template <typename... Structs>
  static std::tuple<std::optional<Structs>...> slots(const std::tuple<KnownExtension<Structs>...>&);

  decltype(slots(kKnownExtensions)) found_;
};

}  // namespace maskerade
