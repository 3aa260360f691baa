/* A masker whose library makes the thread that loads it flush denormals: it has the constructor
 * that compilers add to a library that is linked with -ffast-math (crtfastmath.o; GCC before 13).
 */
#include "framework/sdk/masker_abi.h"

#if defined(__x86_64__)
__attribute__((constructor)) static void set_fast_math(void) {
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
}
#endif

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

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) {
  static const maskerade_masker_descriptor kMasker = {
      .abi_major = MASKERADE_ABI_MAJOR,
      .abi_minor = MASKERADE_ABI_MINOR,
      .struct_size = sizeof(maskerade_masker_descriptor),
      .depends_on = MASKERADE_DEPENDS_SHAPE,
      .id = "flushing",
      .summary = "flushes denormals",
      .reference = "",
      .create = create,
      .select = select_nothing,
      .destroy = destroy};
  return &kMasker;
}
