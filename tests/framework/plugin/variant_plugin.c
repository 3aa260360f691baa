/* One C plugin, built once per VARIANT: each breaks one rule of the boundary; "good" breaks none.
 */
#include <string.h>

#include "framework/sdk/masker_abi.h"

static int is(const char* variant) { return strcmp(VARIANT, variant) == 0; }

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  static int instance;
  (void)info;
  (void)error;
  (void)error_size;
  *masker = &instance;
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  return MASKERADE_OK;
}

static int32_t select_rows(const void* masker,
                           const maskerade_call* call,
                           char* error,
                           size_t error_size) {
  (void)masker;
  (void)call;
  (void)error;
  (void)error_size;
  return MASKERADE_OK;
}

static void destroy(void* masker) { (void)masker; }

static maskerade_parameter tokens(const char* name) {
  maskerade_parameter row = {.struct_size = sizeof(maskerade_parameter),
                             .unit = MASKERADE_UNIT_TOKENS,
                             .name = name,
                             .default_value = "4",
                             .minimum = 0,
                             .maximum = 100,
                             .doc = "a size"};
  return row;
}

static const maskerade_index_extension kHalfIndex = {.struct_size =
                                                         sizeof(maskerade_index_extension)};

static const void* half_index(const char* name) {
  return strcmp(name, MASKERADE_EXTENSION_INDEX) == 0 ? &kHalfIndex : NULL;
}

static const maskerade_build_extension kNamelessBuild = {.struct_size =
                                                             sizeof(maskerade_build_extension)};
static const maskerade_build_extension kThisBuild = MASKERADE_THIS_BUILD;

static const void* nameless_build(const char* name) {
  return strcmp(name, MASKERADE_EXTENSION_BUILD) == 0 ? &kNamelessBuild : NULL;
}
static const void* this_build(const char* name) {
  return strcmp(name, MASKERADE_EXTENSION_BUILD) == 0 ? &kThisBuild : NULL;
}

static const maskerade_cuda_extension kHalfCuda = {.struct_size = sizeof(maskerade_cuda_extension)};
static const maskerade_cuda_extension kShortCuda = {.struct_size = 8};

static const void* half_cuda(const char* name) {
  return strcmp(name, MASKERADE_EXTENSION_CUDA) == 0 ? &kHalfCuda : NULL;
}
static const void* short_cuda(const char* name) {
  return strcmp(name, MASKERADE_EXTENSION_CUDA) == 0 ? &kShortCuda : NULL;
}

/* Nothing that can be read, under whatever name the host does not know. */
static const void* unknown_extension(const char* name) {
  static const char kNothing;
  return strcmp(name, MASKERADE_EXTENSION_INDEX) == 0 ||
                 strcmp(name, MASKERADE_EXTENSION_CUDA) == 0 ||
                 strcmp(name, MASKERADE_EXTENSION_BUILD) == 0
             ? NULL
             : &kNothing;
}

#ifdef WITHOUT_ENTRY
MASKERADE_EXPORT const maskerade_masker_descriptor* another_name(void);
const maskerade_masker_descriptor* another_name(void)
#else
MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void)
#endif
{
  static maskerade_parameter table[2];
  static maskerade_masker_descriptor masker = {.abi_major = MASKERADE_ABI_MAJOR,
                                               .abi_minor = MASKERADE_ABI_MINOR,
                                               .struct_size = sizeof(maskerade_masker_descriptor),
                                               .depends_on = MASKERADE_DEPENDS_SHAPE,
                                               .id = VARIANT,
                                               .summary = "a variant",
                                               .reference = "",
                                               .parameters = table,
                                               .parameter_count = 2,
                                               .create = create,
                                               .select = select_rows,
                                               .destroy = destroy};
  table[0] = tokens("first");
  table[1] = tokens("second");
  if (is("padded_rows")) {
    /* As a newer minor version would have them. */
    static struct {
      maskerade_parameter row;
      uint64_t added;
    } padded[2];
    padded[0].row = table[0];
    padded[1].row = table[1];
    padded[0].added = padded[1].added = UINT64_MAX;
    padded[0].row.struct_size = padded[1].row.struct_size = sizeof(padded[0]);
    masker.parameters = &padded[0].row;
  }
  if (is("null_entry")) return NULL;
  if (is("other_major")) masker.abi_major = MASKERADE_ABI_MAJOR + 7;
  if (is("other_minor")) masker.abi_minor = MASKERADE_ABI_MINOR + 7;
  if (is("other_size")) masker.struct_size = 24;
  if (is("bad_id")) masker.id = "Bad-Id";
  if (is("no_summary")) masker.summary = NULL;
  if (is("no_select")) masker.select = NULL;
  if (is("no_depends")) masker.depends_on = 0;
  if (is("no_table")) masker.parameters = NULL;
  if (is("parameter_size")) table[1].struct_size = 8;
  if (is("parameter_name")) table[1].name = "Second";
  if (is("parameter_twice")) table[1].name = "first";
  if (is("parameter_unit")) table[1].unit = 99;
  if (is("parameter_doc")) table[1].doc = "";
  if (is("parameter_range")) table[1].minimum = 1000;
  if (is("parameter_default")) table[1].default_value = "0.02";
  if (is("parameter_sampler")) table[1].flags = MASKERADE_MAKES_SAMPLER;
  if (is("population_unit")) table[1].flags = MASKERADE_POPULATION_END_OFFSET;
  if (is("population_twice")) {
    masker.traits = MASKERADE_TRAIT_SAMPLES;
    table[0].flags = MASKERADE_POPULATION_BEGIN;
    table[1].flags = MASKERADE_POPULATION_BEGIN;
  }
  if (is("guarantee_unit")) table[1].flags = MASKERADE_STATES_EPSILON;
  if (is("guarantee_half") || is("guarantee_twice")) {
    table[1].unit = MASKERADE_UNIT_SHARE;
    table[1].default_value = "5%";
    table[1].maximum = 1;
    table[1].flags = MASKERADE_STATES_DELTA;
  }
  if (is("guarantee_twice")) {
    table[0] = table[1];
    table[0].name = "first";
  }
  if (is("parameter_choices")) table[1].unit = MASKERADE_UNIT_CHOICE;
  if (is("half_index") || is("index_without_key")) masker.get_extension = half_index;
  if (is("half_index")) masker.depends_on |= MASKERADE_DEPENDS_KEY;
  if (is("half_cuda")) masker.get_extension = half_cuda;
  if (is("nameless_build")) masker.get_extension = nameless_build;
  if (is("built_plainly") || is("built_in") || is("built_with_fast_math")) {
    masker.get_extension = this_build;
  }
  if (is("short_cuda")) masker.get_extension = short_cuda;
  if (is("unknown_extension")) masker.get_extension = unknown_extension;
  if (is("same_id")) masker.id = "good";
  return &masker;
}
