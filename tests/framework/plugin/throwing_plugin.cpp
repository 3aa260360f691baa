// A plugin whose functions let exceptions out, which they must not: built once per THROWS.
#include <stdexcept>
#include <string_view>

#include "framework/sdk/masker_abi.h"

namespace {

const void* throw_extension(const char*) { throw std::runtime_error("no extension today"); }

std::int32_t create(const maskerade_create_info*, void**, maskerade_grain*, char*, std::size_t) {
  return MASKERADE_FAILED;
}
std::int32_t select_nothing(const void*, const maskerade_call*, char*, std::size_t) {
  return MASKERADE_FAILED;
}
void destroy(void*) {}

}  // namespace

extern "C" MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry() {
  constexpr std::string_view kThrows = THROWS;
  if (kThrows == "entry") throw std::runtime_error("no table\nof keys");
  if (kThrows == "number") throw 7;
  static maskerade_masker_descriptor masker{};
  masker.abi_major = MASKERADE_ABI_MAJOR;
  masker.abi_minor = MASKERADE_ABI_MINOR;
  masker.struct_size = sizeof(masker);
  masker.depends_on = MASKERADE_DEPENDS_SHAPE;
  masker.id = "throwing";
  masker.summary = "throws";
  masker.reference = "";
  masker.create = create;
  masker.select = select_nothing;
  masker.destroy = destroy;
  masker.get_extension = throw_extension;
  return &masker;
}
