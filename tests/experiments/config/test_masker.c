/* A masker that selects nothing, with a parameter of every unit. Built once per VARIANT:
 * 1 "window_all": a token count with a default, and one of every other unit with a default;
 * 2 "top": a required token count, a share and a list of numbers;
 * 3 "random": depends on the seed, has a required file;
 * 4 "plain": no parameters. */
#include "framework/sdk/masker_abi.h"

#define NUMBER(unit_, flags_, name_, default_, low_, high_)                              \
  {                                                                                      \
    .struct_size = sizeof(maskerade_parameter), .unit = (unit_), .flags = (flags_),      \
    .name = (name_), .default_value = (default_), .minimum = (low_), .maximum = (high_), \
    .choices = NULL, .doc = "for tests"                                                  \
  }

#if VARIANT == 1
#define ID "window_all"
static const char* const kReductions[] = {"sum", "max", NULL};
static const maskerade_parameter kTable[] = {
    NUMBER(MASKERADE_UNIT_TOKENS, 0, "window", "64", 0, 1e9),
    NUMBER(MASKERADE_UNIT_SHARE, MASKERADE_MINIMUM_EXCLUDED, "rate", "10%", 0, 1),
    NUMBER(MASKERADE_UNIT_COUNT, 0, "parts", "2", 1, 100),
    NUMBER(MASKERADE_UNIT_BLOCKS, 0, "pages", "3", 0, 1e9),
    NUMBER(MASKERADE_UNIT_NUMBER, 0, "temperature", "0.5", 0, 10),
    {.struct_size = sizeof(maskerade_parameter),
     .unit = MASKERADE_UNIT_CHOICE,
     .name = "reduce",
     .default_value = "sum",
     .choices = kReductions,
     .doc = "for tests"}};
#elif VARIANT == 2
#define ID "top"
static const maskerade_parameter kTable[] = {
    NUMBER(MASKERADE_UNIT_TOKENS, 0, "budget", NULL, 1, 1e9),
    NUMBER(MASKERADE_UNIT_SHARE, 0, "share", "5%", 0, 1),
    NUMBER(MASKERADE_UNIT_NUMBER, MASKERADE_LIST, "weights", "1", -1e9, 1e9)};
#elif VARIANT == 3
#define ID "random"
static const maskerade_parameter kTable[] = {{.struct_size = sizeof(maskerade_parameter),
                                              .unit = MASKERADE_UNIT_FILE,
                                              .name = "table",
                                              .default_value = NULL,
                                              .choices = NULL,
                                              .doc = "for tests"}};
#else
#define ID "plain"
#endif

#if VARIANT == 4
#define TABLE NULL
#define TABLE_SIZE 0
#else
#define TABLE kTable
#define TABLE_SIZE (sizeof(kTable) / sizeof(kTable[0]))
#endif

static int32_t create(const maskerade_create_info* info,
                      void** masker,
                      maskerade_grain* grain,
                      char* error,
                      size_t error_size) {
  static int instance;
  (void)info, (void)error, (void)error_size;
  *masker = &instance;
  grain->query_block = 1;
  grain->heads = MASKERADE_HEADS_ONE;
  return MASKERADE_OK;
}

static int32_t select_nothing(const void* masker,
                              const maskerade_call* call,
                              char* error,
                              size_t error_size) {
  (void)masker, (void)call, (void)error, (void)error_size;
  return MASKERADE_OK;
}

static void destroy(void* masker) { (void)masker; }

static const maskerade_masker_descriptor kDescriptor = {
    .abi_major = MASKERADE_ABI_MAJOR,
    .abi_minor = MASKERADE_ABI_MINOR,
    .struct_size = sizeof(maskerade_masker_descriptor),
    .depends_on = VARIANT == 3 ? MASKERADE_DEPENDS_SEED : MASKERADE_DEPENDS_SHAPE,
    .id = ID,
    .summary = "selects nothing",
    .reference = "",
    .parameters = TABLE,
    .parameter_count = TABLE_SIZE,
    .create = create,
    .select = select_nothing,
    .destroy = destroy,
    .get_extension = NULL};

MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry(void);
const maskerade_masker_descriptor* maskerade_masker_entry(void) { return &kDescriptor; }
