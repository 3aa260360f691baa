// A masker that breaks a rule of all functions in the one that it is told: it leaves its thread
// rounding toward zero, writes behind its text buffer, throws, or gives a text that is no UTF-8.
#include <array>
#include <cfenv>
#include <cstring>
#include <stdexcept>

#include "framework/sdk/masker_abi.h"

namespace {

enum Where : std::int64_t {
  kCreate,
  kBuild,
  kAppend,
  kTruncate,
  kSize,
  kSelect,
  kDestroy,
  kForget,
  kBehind,
  kThrows,
  kNumber,
  kBytes,
  kNull,
  kBoth,
  kTraps
};
constexpr std::array<const char*, 16> kNames = {
    "create", "build",  "append", "truncate", "size", "select", "destroy", "forget",
    "behind", "throws", "number", "bytes",    "null", "both",   "traps",   nullptr};

std::array<std::int64_t, 15> places = {kCreate, kBuild,   kAppend, kTruncate, kSize,
                                       kSelect, kDestroy, kForget, kBehind,   kThrows,
                                       kNumber, kBytes,   kNull,   kBoth,     kTraps};

bool is(const void* masker, Where where) {
  return *static_cast<const std::int64_t*>(masker) == where;
}
std::int32_t round_at(const void* masker, Where where) {
  if (is(masker, where)) std::fesetround(FE_TOWARDZERO);
  return MASKERADE_OK;
}

std::int32_t create(
    const maskerade_create_info* info, void** masker, maskerade_grain* grain, char*, std::size_t) {
  *masker = &places[static_cast<std::size_t>(info->arguments[0].values->integer)];
  *grain = {1, MASKERADE_HEADS_ONE};
  return round_at(*masker, kCreate);
}

std::int32_t select_rows(const void* masker,
                         const maskerade_call*,
                         char* error,
                         std::size_t error_size) {
  if (is(masker, kBehind)) error[error_size] = '\0';
  if (is(masker, kThrows)) throw std::runtime_error("no keys");
  if (is(masker, kNumber)) throw 7;
  if (is(masker, kTraps)) {
    std::feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(FE_DIVBYZERO);
  }
  if (is(masker, kBytes)) std::strncpy(error, "caf\xe9", error_size);
  if (is(masker, kBoth)) {
    std::strncpy(error, "its own reason", error_size);
    std::fesetround(FE_UPWARD);
  }
  round_at(masker, kSelect);
  return is(masker, kBytes) || is(masker, kBoth) ? MASKERADE_FAILED : MASKERADE_OK;
}

std::int32_t build(
    const void* masker, const maskerade_key_span*, void** index, char*, std::size_t) {
  if (!is(masker, kNull)) *index = places.data();
  return round_at(masker, kBuild);
}
std::int32_t append(const void* masker, void*, const maskerade_key_span*, char*, std::size_t) {
  return round_at(masker, kAppend);
}
std::int32_t truncate(const void* masker, void*, const maskerade_key_span*, char*, std::size_t) {
  return round_at(masker, kTruncate);
}
std::size_t size_bytes(const void* masker, const void*) {
  round_at(masker, kSize);
  return 1;
}
void forget(const void* masker, void*) { round_at(masker, kForget); }
void destroy(void* masker) { round_at(masker, kDestroy); }

const void* extension(const char* name) {
  static const maskerade_index_extension kIndex = {
      sizeof(maskerade_index_extension), 0, build, append, truncate, size_bytes, forget, nullptr};
  return std::strcmp(name, MASKERADE_EXTENSION_INDEX) == 0 ? &kIndex : nullptr;
}

}  // namespace

extern "C" MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry() {
  static const maskerade_parameter kWhere = {
      sizeof(maskerade_parameter), MASKERADE_UNIT_CHOICE, 0, "where", nullptr, 0, 0, kNames.data(),
      "where it breaks a rule"};
  static const maskerade_masker_descriptor kMasker = {MASKERADE_ABI_MAJOR,
                                                      MASKERADE_ABI_MINOR,
                                                      sizeof(maskerade_masker_descriptor),
                                                      MASKERADE_DEPENDS_KEY,
                                                      0,
                                                      "unruly",
                                                      "breaks a rule",
                                                      "",
                                                      &kWhere,
                                                      1,
                                                      create,
                                                      select_rows,
                                                      destroy,
                                                      extension};
  return &kMasker;
}
