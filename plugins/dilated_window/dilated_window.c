/* A masker in plain C: the dilated sliding window of Longformer. Each query attends to itself and
 * to every dilation-th key before it, `window` keys in all.
 *
 * A model of the C boundary: a parameter table, an instance, one select(), one exported descriptor.
 * masker_abi.h states the rules beside each declaration that is used here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/sdk/masker_abi.h"

/* ---- Parameters: the host validates what a user writes against this table ---- */

enum { kWindow, kDilation, kParameterCount };

static const maskerade_parameter kParameters[kParameterCount] = {
    [kWindow] = {.struct_size = sizeof(maskerade_parameter),
                 .unit = MASKERADE_UNIT_TOKENS,
                 .name = "window",
                 .default_value = "512",
                 .minimum = 0,
                 .maximum = 1e15,
                 .doc = "keys in the window, the query's own included"},
    [kDilation] = {.struct_size = sizeof(maskerade_parameter),
                   .unit = MASKERADE_UNIT_COUNT,
                   .name = "dilation",
                   .default_value = "2",
                   .minimum = 1,
                   .maximum = 1e9,
                   .doc = "distance between neighbouring keys; 1 is a plain window"}};

/* ---- The instance: what create() keeps of the arguments, which live only for its call ---- */

typedef struct dilated_window {
  maskerade_value window; /* as written: a percentage becomes keys only when a row is known */
  int64_t dilation;
} dilated_window;

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  dilated_window* self = malloc(sizeof(*self));
  if (self == NULL) {
    snprintf(error, error_size, "out of memory");
    return MASKERADE_FAILED;
  }
  self->window = info->arguments[kWindow].values[0];
  self->window.text = NULL; /* the text is the host's and ends with this call */
  self->dilation = info->arguments[kDilation].values[0].integer;
  /* Every row by itself, every head by itself: the host may cut the work anywhere. */
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  *masker = self;
  return MASKERADE_OK;
}

static void destroy(void* masker) { free(masker); }

/* ---- The selection: const, so that the host may call it on many threads at once ---- */

static int32_t select_keys(const void* masker,
                           const maskerade_call* call,
                           char* error,
                           size_t error_size) {
  const dilated_window* self = masker;
  const maskerade_services* host = call->services;
  const int64_t queries = call->query_end - call->query_begin;
  const int64_t rows = (call->head_end - call->head_begin) * queries;
  /* The most keys that a row can take: key 0, dilation, 2 * dilation, ... */
  const size_t most = (size_t)((call->shape.key_len - 1) / self->dilation + 1);
  int32_t* keys = host->scratch(call, most * sizeof(*keys));
  if (keys == NULL) {
    snprintf(error, error_size, "no scratch memory for %zu keys", most);
    return MASKERADE_FAILED;
  }
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t query = call->query_begin + row % queries;
    const int64_t position = call->positions[query]; /* below key_len; negative before key 0 */
    const int64_t window =
        maskerade_tokens_of(&self->window, call->shape.key_len, call->visible_ends[query]);
    size_t count = 0;
    for (int64_t key = position; key >= 0 && (int64_t)count < window; key -= self->dilation) {
      keys[count++] = (int32_t)key;
    }
    /* NULL: probability 1. The host clips to what the row sees, and keeps the error's text. */
    if (host->add_keys(call, row, keys, NULL, count) != MASKERADE_OK) return MASKERADE_FAILED;
  }
  return MASKERADE_OK;
}

/* ---- What the host may ask for by name: here, how this library was built ---- */

static const maskerade_build_extension kBuild = MASKERADE_THIS_BUILD;

static const void* get_extension(const char* name) {
  return strcmp(name, MASKERADE_EXTENSION_BUILD) == 0 ? &kBuild : NULL;
}

/* ---- The one exported symbol ---- */

static const maskerade_masker_descriptor kDescriptor = {
    .abi_major = MASKERADE_ABI_MAJOR,
    .abi_minor = MASKERADE_ABI_MINOR,
    .struct_size = sizeof(maskerade_masker_descriptor),
    /* Lengths and positions alone: one selection serves all heads and batch entries. */
    .depends_on = MASKERADE_DEPENDS_SHAPE,
    .id = "dilated_window",
    .summary = "the query's own key and every dilation-th key before it",
    .reference = "arXiv:2004.05150",
    .parameters = kParameters,
    .parameter_count = kParameterCount,
    .create = create,
    .select = select_keys,
    .destroy = destroy,
    .get_extension = get_extension};

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) { return &kDescriptor; }
