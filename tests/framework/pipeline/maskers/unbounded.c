/* A masker without bounds: its error text fills the buffer without a null character, or it counts
 * more work than a number holds, or less than none. Its index is as large as a number holds. */
#include <string.h>

#include "framework/sdk/masker_abi.h"

enum { kCreate, kSelect, kCounts, kNegative };

static int64_t s_how[] = {kCreate, kSelect, kCounts, kNegative};

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  const int64_t how = info->arguments[0].values->integer;
  *masker = &s_how[how];
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  if (how != kCreate) return MASKERADE_OK;
  memset(error, 'x', error_size);
  return MASKERADE_FAILED;
}

static int32_t select_rows(const void* masker,
                           const maskerade_call* call,
                           char* error,
                           size_t error_size) {
  const int64_t how = *(const int64_t*)masker;
  if (how == kCounts) {
    call->services->count_work(call, INT64_MAX, INT64_MAX);
    call->services->count_work(call, INT64_MAX - 3, INT64_MAX - 3);
  }
  if (how == kNegative) call->services->count_work(call, 1, -8);
  if (how != kSelect) return MASKERADE_OK;
  memset(error, 'x', error_size);
  return MASKERADE_FAILED;
}

static void destroy(void* masker) { (void)masker; }

static int32_t build(const void* masker,
                     const maskerade_key_span* keys,
                     void** index,
                     char* error,
                     size_t error_size) {
  (void)masker;
  (void)keys;
  (void)error;
  (void)error_size;
  *index = s_how;
  return MASKERADE_OK;
}

static int32_t change(const void* masker,
                      void* index,
                      const maskerade_key_span* keys,
                      char* error,
                      size_t error_size) {
  (void)masker;
  (void)index;
  (void)keys;
  (void)error;
  (void)error_size;
  return MASKERADE_OK;
}

static size_t size_bytes(const void* masker, const void* index) {
  (void)masker;
  (void)index;
  return SIZE_MAX;
}

static void forget(const void* masker, void* index) {
  (void)masker;
  (void)index;
}

static const void* extension(const char* name) {
  static const maskerade_index_extension kIndex = {.struct_size = sizeof(maskerade_index_extension),
                                                   .build = build,
                                                   .append = change,
                                                   .truncate = change,
                                                   .size_bytes = size_bytes,
                                                   .destroy = forget};
  return strcmp(name, MASKERADE_EXTENSION_INDEX) == 0 ? &kIndex : NULL;
}

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) {
  static const char* const kHow[] = {"create", "select", "counts", "negative", NULL};
  static maskerade_parameter table[1];
  static maskerade_masker_descriptor masker;
  const maskerade_parameter how = {.struct_size = sizeof(maskerade_parameter),
                                   .unit = MASKERADE_UNIT_CHOICE,
                                   .name = "how",
                                   .choices = kHow,
                                   .doc = "what has no bound"};
  const maskerade_masker_descriptor descriptor = {
      .abi_major = MASKERADE_ABI_MAJOR,
      .abi_minor = MASKERADE_ABI_MINOR,
      .struct_size = sizeof(maskerade_masker_descriptor),
      .depends_on = MASKERADE_DEPENDS_SHAPE | MASKERADE_DEPENDS_KEY,
      .id = "unbounded",
      .summary = "has no bounds",
      .reference = "",
      .parameters = table,
      .parameter_count = 1,
      .create = create,
      .select = select_rows,
      .destroy = destroy,
      .get_extension = extension};
  table[0] = how;
  masker = descriptor;
  return &masker;
}
