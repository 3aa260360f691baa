/* A masker with an index, built against an archived masker_abi.h. The index holds the sum of each
 * page of keys over all their components; a row attends to the pages with the largest sums. */
#include <stdlib.h>
#include <string.h>

#include "masker_abi.h"

enum { kPageKeys = 8 };

static const maskerade_parameter kPages = {.struct_size = sizeof(maskerade_parameter),
                                           .unit = MASKERADE_UNIT_COUNT,
                                           .name = "pages",
                                           .default_value = "2",
                                           .minimum = 0,
                                           .maximum = 1e9,
                                           .doc = "pages of 8 keys to select"};

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  int64_t* pages = malloc(sizeof(*pages));
  (void)error;
  (void)error_size;
  *pages = info->arguments[0].values[0].integer;
  *masker = pages;
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  return MASKERADE_OK;
}

static void destroy(void* masker) { free(masker); }

/* ---- The index ---- */

typedef struct page_sums {
  int64_t keys;
  float* sums; /* [pages] */
} page_sums;

static size_t pages_of(int64_t keys) { return (size_t)((keys + kPageKeys - 1) / kPageKeys); }

static int32_t append(const void* masker,
                      void* index,
                      const maskerade_key_span* span,
                      char* error,
                      size_t error_size) {
  page_sums* const self = index;
  const size_t width = span->dtype == MASKERADE_FLOAT32 ? 4 : 2;
  float* const key = malloc((size_t)span->head_dim * sizeof(*key));
  (void)masker;
  (void)error;
  (void)error_size;
  self->sums = realloc(self->sums, pages_of(span->key_end) * sizeof(*self->sums));
  for (; self->keys < span->key_end; ++self->keys) {
    const size_t page = (size_t)(self->keys / kPageKeys);
    const int64_t row = (self->keys - span->key_begin) * span->key_row_stride;
    if (self->keys % kPageKeys == 0) self->sums[page] = 0;
    span->host->to_float(span->dtype, (const char*)span->keys + (size_t)row * width,
                         (size_t)span->head_dim, key);
    for (int64_t d = 0; d < span->head_dim; ++d) self->sums[page] += key[d];
  }
  free(key);
  return MASKERADE_OK;
}

static int32_t build(const void* masker,
                     const maskerade_key_span* span,
                     void** index,
                     char* error,
                     size_t error_size) {
  *index = calloc(1, sizeof(page_sums));
  return append(masker, *index, span, error, error_size);
}

static int32_t truncate(const void* masker,
                        void* index,
                        const maskerade_key_span* span,
                        char* error,
                        size_t error_size) {
  ((page_sums*)index)->keys = 0;
  return append(masker, index, span, error, error_size);
}

static size_t size_bytes(const void* masker, const void* index) {
  (void)masker;
  return pages_of(((const page_sums*)index)->keys) * sizeof(float);
}

static void destroy_index(const void* masker, void* index) {
  (void)masker;
  free(((page_sums*)index)->sums);
  free(index);
}

static const maskerade_index_extension kIndex = {.struct_size = sizeof(maskerade_index_extension),
                                                 .spans_future = 1,
                                                 .build = build,
                                                 .append = append,
                                                 .truncate = truncate,
                                                 .size_bytes = size_bytes,
                                                 .destroy = destroy_index};

/* ---- What ABI 1.1 added: a device path, here for no arguments ---- */

#if MASKERADE_ABI_MINOR >= 1
static int32_t bounds(const void* masker,
                      const maskerade_cuda_call* call,
                      maskerade_cuda_bounds* stated) {
  (void)masker;
  (void)call;
  (void)stated;
  return 0;
}

static const void* index_data(const void* masker, const void* index, size_t* bytes) {
  *bytes = size_bytes(masker, index);
  return ((const page_sums*)index)->sums;
}

static int32_t select_on_device(const void* masker,
                                const maskerade_cuda_call* call,
                                char* error,
                                size_t error_size) {
  (void)masker;
  (void)call;
  strncpy(error, "bounds() said that these arguments are for the CPU", error_size);
  return MASKERADE_FAILED;
}

static const maskerade_cuda_extension kCuda = {.struct_size = sizeof(maskerade_cuda_extension),
                                               .bounds = bounds,
                                               .index_data = index_data,
                                               .select = select_on_device};
#endif

/* ---- What ABI 1.3 added: how the library was built ---- */

#if MASKERADE_ABI_MINOR >= 3
static const maskerade_build_extension kBuild = MASKERADE_THIS_BUILD;
#endif

static const void* get_extension(const char* name) {
  if (strcmp(name, MASKERADE_EXTENSION_INDEX) == 0) return &kIndex;
#if MASKERADE_ABI_MINOR >= 1
  if (strcmp(name, MASKERADE_EXTENSION_CUDA) == 0) return &kCuda;
#endif
#if MASKERADE_ABI_MINOR >= 3
  if (strcmp(name, MASKERADE_EXTENSION_BUILD) == 0) return &kBuild;
#endif
  return NULL;
}

/* ---- The selection ---- */

static int32_t select_rows(const void* masker,
                           const maskerade_call* call,
                           char* error,
                           size_t error_size) {
  const int64_t queries = call->query_end - call->query_begin;
  const int64_t rows = (call->head_end - call->head_begin) * queries;
  const page_sums* const index = call->indexes[call->kv_head];
  const size_t pages = pages_of(index->keys);
  int32_t* const chosen = call->services->scratch(call, pages * sizeof(*chosen));
  const size_t count = call->services->top_indices(call, index->sums, pages,
                                                   (size_t) * (const int64_t*)masker, chosen);
  (void)error;
  (void)error_size;
  for (size_t i = 0; i < count; ++i) {
    if (call->services->add_range(call, 0, rows, (int64_t)chosen[i] * kPageKeys,
                                  (int64_t)(chosen[i] + 1) * kPageKeys) != MASKERADE_OK) {
      return MASKERADE_FAILED;
    }
  }
  call->services->count_work(call, (int64_t)pages, (int64_t)(pages * sizeof(float)));
  return MASKERADE_OK;
}

static const maskerade_masker_descriptor kDescriptor = {
    .abi_major = MASKERADE_ABI_MAJOR,
    .abi_minor = MASKERADE_ABI_MINOR,
    .struct_size = sizeof(maskerade_masker_descriptor),
    .depends_on = MASKERADE_DEPENDS_KEY,
    .id = MASKER_ID,
    .summary = "pages of keys with the largest sums",
    .reference = "",
    .parameters = &kPages,
    .parameter_count = 1,
    .create = create,
    .select = select_rows,
    .destroy = destroy,
    .get_extension = get_extension};

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) { return &kDescriptor; }
