// A masker that lets an exception out of select() where a row sees more keys than it thought of.
#include <stdexcept>

#include "framework/sdk/masker_abi.h"

namespace {

std::int32_t create(
    const maskerade_create_info*, void** masker, maskerade_grain* grain, char*, std::size_t) {
  *masker = nullptr;
  *grain = {1, MASKERADE_HEADS_ONE};
  return MASKERADE_OK;
}
std::int32_t select_rows(const void*, const maskerade_call* call, char*, std::size_t) {
  if (call->shape.key_len > 300) throw std::length_error("too many keys");
  const std::int64_t rows =
      (call->head_end - call->head_begin) * (call->query_end - call->query_begin);
  return call->services->add_range(call, 0, rows, 0, 1);
}
void destroy(void*) {}

}  // namespace

extern "C" MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry() {
  static const maskerade_masker_descriptor kMasker = {MASKERADE_ABI_MAJOR,
                                                      MASKERADE_ABI_MINOR,
                                                      sizeof(maskerade_masker_descriptor),
                                                      MASKERADE_DEPENDS_SHAPE,
                                                      0,
                                                      "throwing_rows",
                                                      "the first key of few",
                                                      "",
                                                      nullptr,
                                                      0,
                                                      create,
                                                      select_rows,
                                                      destroy,
                                                      nullptr};
  return &kMasker;
}
