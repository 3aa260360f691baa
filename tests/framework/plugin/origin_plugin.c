/* A masker whose library names its own folder, so that it is loaded from its path. With
 * CHANGES_ITSELF its file is another one once it is loaded: that grows by a byte. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

#include "framework/sdk/masker_abi.h"

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  (void)info;
  (void)error;
  (void)error_size;
  *masker = NULL;
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  return MASKERADE_OK;
}

static int32_t select_nothing(const void* masker,
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

#ifdef CHANGES_ITSELF
__attribute__((constructor)) static void grow(void) {
  Dl_info own;
  FILE* file;
  if (dladdr((void*)destroy, &own) == 0) return;
  file = fopen(own.dli_fname, "ab");
  if (file == NULL) return;
  fputc('x', file);
  fclose(file);
}
#endif

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) {
  static const maskerade_masker_descriptor kMasker = {
      .abi_major = MASKERADE_ABI_MAJOR,
      .abi_minor = MASKERADE_ABI_MINOR,
      .struct_size = sizeof(maskerade_masker_descriptor),
      .depends_on = MASKERADE_DEPENDS_SHAPE,
      .id = MASKER_ID,
      .summary = "looks for what it needs in $ORIGIN",
      .reference = "",
      .create = create,
      .select = select_nothing,
      .destroy = destroy};
  return &kMasker;
}
