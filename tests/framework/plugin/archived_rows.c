/* A masker without an index, built against an archived masker_abi.h: each row attends to the first
 * keys of the sequence and to the key of its own position. */
#include <stdlib.h>

#include "masker_abi.h"

static const maskerade_parameter kTokens = {.struct_size = sizeof(maskerade_parameter),
                                            .unit = MASKERADE_UNIT_TOKENS,
                                            .name = "tokens",
                                            .default_value = "2",
                                            .minimum = 0,
                                            .maximum = 1e15,
                                            .doc = "keys from the start"};

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  maskerade_value* tokens = malloc(sizeof(*tokens));
  (void)error;
  (void)error_size;
  *tokens = info->arguments[0].values[0];
  *masker = tokens;
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  return MASKERADE_OK;
}

static void destroy(void* masker) { free(masker); }

static int32_t select_rows(const void* masker,
                           const maskerade_call* call,
                           char* error,
                           size_t error_size) {
  const int64_t queries = call->query_end - call->query_begin;
  const int64_t rows = (call->head_end - call->head_begin) * queries;
  (void)error;
  (void)error_size;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t query = call->query_begin + row % queries;
    const int32_t own = (int32_t)call->positions[query];
    const int64_t count =
        maskerade_tokens_of(masker, call->shape.key_len, call->visible_ends[query]);
    if (call->services->add_range(call, row, row + 1, 0, count) != MASKERADE_OK ||
        call->services->add_keys(call, row, &own, NULL, 1) != MASKERADE_OK) {
      return MASKERADE_FAILED;
    }
  }
  return MASKERADE_OK;
}

static const maskerade_masker_descriptor kDescriptor = {
    .abi_major = MASKERADE_ABI_MAJOR,
    .abi_minor = MASKERADE_ABI_MINOR,
    .struct_size = sizeof(maskerade_masker_descriptor),
    .depends_on = MASKERADE_DEPENDS_SHAPE,
    .id = MASKER_ID,
    .summary = "the first keys and a row's own",
    .reference = "",
    .parameters = &kTokens,
    .parameter_count = 1,
    .create = create,
    .select = select_rows,
    .destroy = destroy};

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) { return &kDescriptor; }
