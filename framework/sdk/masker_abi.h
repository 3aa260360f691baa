/* The boundary between Maskerade and a masker plugin. C11 and C++20; includes nothing else.
 *
 * A plugin is a shared library that exports one function, `maskerade_masker_entry`, which returns a
 * static descriptor. The host reads the descriptor, creates an instance with validated arguments,
 * and calls select() on it, once for every unit of rows. `masker.hpp` wraps all of this in C++;
 * `README.md` beside this file shows how maskers of every kind use it.
 *
 * Rules that hold for every function here:
 *  - No exception, no C++ type and no ownership of memory crosses the boundary. What one side
 *    allocates, that side frees. Pointers handed to a function live until it returns, unless its
 *    comment says otherwise.
 *  - A function that can fail returns MASKERADE_OK or MASKERADE_FAILED. On failure it writes a
 *    zero-terminated text into the caller's `error` buffer of `error_size` bytes, cut if need be.
 *  - Strings are UTF-8, zero-terminated. Strides count elements, not bytes.
 *  - Thread tags in brackets: [any thread] may run on several threads at once, on one object too;
 *    [one thread] is never called twice at once for one object.
 *  - Versions: a host accepts descriptors of its own major version and of its own or an older minor
 *    version. A new minor version adds: constants, fields at the end of structs that carry their
 *    struct_size, functions at the end of tables of functions. Structs without a struct_size never
 *    change. The rows of a parameter table are the struct_size of its first row apart.
 */
#ifndef MASKERADE_FRAMEWORK_SDK_MASKER_ABI_H_
#define MASKERADE_FRAMEWORK_SDK_MASKER_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MASKERADE_ABI_MAJOR 1u
#define MASKERADE_ABI_MINOR 3u

/* The name of the exported function, as a string. */
#define MASKERADE_ENTRY_SYMBOL "maskerade_masker_entry"

#if defined(_WIN32)
#define MASKERADE_EXPORT __declspec(dllexport)
#else
#define MASKERADE_EXPORT __attribute__((visibility("default")))
#endif

/* Marks a function of this header that device code may call, too. */
#if defined(__CUDACC__)
#define MASKERADE_ANYWHERE static __host__ __device__ inline
#else
#define MASKERADE_ANYWHERE static inline
#endif

enum { MASKERADE_OK = 0, MASKERADE_FAILED = 1 };

/* ---- Parameters ------------------------------------------------------------------------------ */

/* What a parameter's number means. The host validates, converts and prints by unit. */
enum {
  MASKERADE_UNIT_TOKENS = 0, /* a number of keys: 128, 2%, or 5% of the row's visible keys */
  MASKERADE_UNIT_SHARE = 1,  /* a fraction: 0.05 or 5% */
  MASKERADE_UNIT_COUNT = 2,  /* a whole number of things that are not tokens */
  MASKERADE_UNIT_BLOCKS = 3, /* a whole number of the masker's own blocks */
  MASKERADE_UNIT_NUMBER = 4, /* a real number */
  MASKERADE_UNIT_CHOICE = 5, /* one of `choices` */
  MASKERADE_UNIT_FILE = 6,   /* a path; the host has checked that it can be read and hashed it.
                                Default "": it may be left out, and then its text is "" */
  MASKERADE_UNIT_TEXT = 7    /* any text, as the name of a tensor */
};

enum {
  MASKERADE_MINIMUM_EXCLUDED = 1u << 0,
  MASKERADE_MAXIMUM_EXCLUDED = 1u << 1,
  /* The index depends on this parameter: another value needs an index that is built anew. An index
   * serves every value of the parameters without this flag. `maskerade list` says which have it;
   * for a masker without an index it means nothing. */
  MASKERADE_AFFECTS_INDEX = 1u << 2,
  MASKERADE_LIST = 1u << 3, /* takes one or more values */
  /* With MASKERADE_TRAIT_SAMPLES: the masker samples only where a parameter of this flag differs
   * from its default. */
  MASKERADE_MAKES_SAMPLER = 1u << 4,
  /* A guarantee that the host can test: one parameter is epsilon, one delta, and the masker states
   * that P(|D' - D| > epsilon D) <= delta, D the sum of exp(logit) over a row's visible keys and D'
   * its estimate, the sum of exp(logit) / p over the row's entries. Shares or numbers, one value.
   */
  MASKERADE_STATES_EPSILON = 1u << 5,
  MASKERADE_STATES_DELTA = 1u << 6,
  /* The guarantee holds only while every parameter of this flag has its default. */
  MASKERADE_WAIVES_GUARANTEE = 1u << 7,
  /* With MASKERADE_TRAIT_SAMPLES, one value in tokens: the sampler draws from keys [BEGIN,
   * key_len - END_OFFSET) and from no others (add_keys refuses a probability below 1 there); a flag
   * that no parameter has stands for 0. Several samplers may share a pipeline where these ranges
   * are disjoint. Whatever is active outside the range, draws of other samplers included, must
   * leave the estimate over the range unbiased. */
  MASKERADE_POPULATION_BEGIN = 1u << 8,
  MASKERADE_POPULATION_END_OFFSET = 1u << 9
};

/* One row of a masker's parameter table. */
typedef struct maskerade_parameter {
  uint32_t struct_size;
  uint32_t unit;             /* MASKERADE_UNIT_* */
  uint32_t flags;            /* MASKERADE_MINIMUM_EXCLUDED, ... */
  const char* name;          /* snake_case, unique in the table */
  const char* default_value; /* as a user would write it; NULL: the parameter is required */
  /* The smallest and largest accepted number; ignored for choices, files and texts. Of tokens they
   * bound counts; a percentage may be 0% to 100%, without 0% when the minimum is above 0. */
  double minimum;
  double maximum;
  const char* const* choices; /* NULL-terminated, for MASKERADE_UNIT_CHOICE; else NULL */
  const char* doc;            /* one line */
} maskerade_parameter;

/* How a MASKERADE_UNIT_TOKENS value counts. */
enum {
  MASKERADE_TOKENS_COUNT = 0,     /* `integer` keys */
  MASKERADE_TOKENS_OF_KEYS = 1,   /* `integer` hundred-millionths of key_len, floored */
  MASKERADE_TOKENS_OF_VISIBLE = 2 /* `integer` hundred-millionths of the row's visible keys */
};

/* One validated value. Percentages have at most six decimals, so they are exact here. */
typedef struct maskerade_value {
  uint32_t basis;   /* MASKERADE_TOKENS_*, for MASKERADE_UNIT_TOKENS */
  int64_t integer;  /* tokens (see basis), count, blocks, or the index of the choice */
  double number;    /* share or number */
  const char* text; /* the choice, the text, the file's absolute path, or the value as written */
} maskerade_value;

/* The values of one parameter: one, or for MASKERADE_LIST one or more. */
typedef struct maskerade_argument {
  const maskerade_value* values;
  size_t count;
} maskerade_argument;

/* The number of keys that a MASKERADE_UNIT_TOKENS value means for a row. [any thread]
 * Rationale: 29% of 100 is 29 exactly; a double would give 28. key_len < 2^36 cannot overflow. */
MASKERADE_ANYWHERE int64_t maskerade_tokens_of(const maskerade_value* value,
                                               int64_t key_len,
                                               int64_t visible_len) {
  switch (value->basis) {
    case MASKERADE_TOKENS_OF_KEYS:
      return value->integer * key_len / 100000000;
    case MASKERADE_TOKENS_OF_VISIBLE:
      return value->integer * visible_len / 100000000;
    default:
      return value->integer;
  }
}

/* ---- Data --------------------------------------------------------------------------------------
 */

enum { MASKERADE_FLOAT32 = 0, MASKERADE_FLOAT16 = 1, MASKERADE_BFLOAT16 = 2 };

/* batch, heads and lengths of one attention problem. query_heads is a multiple of kv_heads; query
 * head h reads kv head h * kv_heads / query_heads. */
typedef struct maskerade_shape {
  int64_t batch;
  int64_t query_heads;
  int64_t kv_heads;
  int64_t query_len;
  int64_t key_len;
  int64_t head_dim;
} maskerade_shape;

/* A read-only matrix [heads, length, head_dim] of one batch entry; head_dim is contiguous. */
typedef struct maskerade_matrix {
  const void* data;
  uint32_t dtype; /* MASKERADE_FLOAT32, ... */
  int64_t head_stride;
  int64_t row_stride;
} maskerade_matrix;

/* ---- The host: what a masker may use for as long as it lives -----------------------------------
 */

enum { MASKERADE_TENSOR_FLOAT32 = 0, MASKERADE_TENSOR_INT64 = 1, MASKERADE_TENSOR_UINT8 = 2 };

/* A tensor of a file: row-major, the last axis fastest. Lives as long as the instance that read it.
 */
typedef struct maskerade_tensor {
  uint32_t struct_size;
  uint32_t type;        /* MASKERADE_TENSOR_*: floats of any width, whole numbers, bytes */
  const void* data;     /* float, int64_t or uint8_t */
  size_t rank;          /* 0: a single number */
  const int64_t* shape; /* [rank] */
} maskerade_tensor;

/* How positions were applied to q and k before attention saw them (RoPE, arXiv 2104.09864). Pair i
 * of a vector at position p was turned by the angle p * frequencies[i], in radians, and multiplied
 * by `scale`; other components were left as they are. Key j has position j (since 1.3). */
enum {
  MASKERADE_ROPE_HALVES = 0,    /* of n pairs, pair i are the components i and i + n */
  MASKERADE_ROPE_NEIGHBOURS = 1 /* 2i and 2i + 1 */
};
typedef struct maskerade_rope {
  uint32_t struct_size;
  uint32_t pairs;           /* MASKERADE_ROPE_* */
  const float* frequencies; /* [pair_count] */
  size_t pair_count;        /* 0: nothing was turned */
  float scale;
} maskerade_rope;

typedef struct maskerade_host maskerade_host;

/* Handed to create(), to the functions of an index and, as part of the call, to select(). Lives as
 * long as the instance. All functions: [any thread]. What is random here is keyed by (seed, the
 * masker's place in the pipeline, layer, purpose, index): the same for every batch and head. */
struct maskerade_host {
  uint32_t struct_size;
  void* self; /* the host's own */

  /* Reads a tensor of a safetensors, npy (name "") or JSON file (a key of the top-level object).
   * tensor->struct_size is set by the caller. */
  int32_t (*read_tensor)(const maskerade_host* host,
                         const char* file,
                         const char* name,
                         maskerade_tensor* tensor,
                         char* error,
                         size_t error_size);
  /* 1 when the file has a tensor of that name, else 0, also when it cannot be read. */
  int32_t (*has_tensor)(const maskerade_host* host, const char* file, const char* name);

  /* Uniform numbers in [0, 1) and standard normal ones: numbers first ... first + count - 1 of the
   * sequence of that purpose. Fail unless the descriptor declares MASKERADE_DEPENDS_SEED; the host
   * keeps the reason. */
  int32_t (*uniforms)(
      const maskerade_host* host, uint32_t purpose, uint64_t first, size_t count, double* numbers);
  int32_t (*normals)(
      const maskerade_host* host, uint32_t purpose, uint64_t first, size_t count, float* numbers);

  /* Widens `count` values of dtype (MASKERADE_FLOAT32, ...) to float32. */
  void (*to_float)(uint32_t dtype, const void* source, size_t count, float* target);
  /* products[i * product_stride + j] = sum over d < dim of vectors[i * dim + d] *
   * rows[j * row_stride + d], i < vector_count, j < count, in float32 and in the order of the
   * host's scores (see Scoring). */
  void (*multiply_rows)(const float* vectors,
                        size_t vector_count,
                        const float* rows,
                        int64_t row_stride,
                        size_t count,
                        size_t dim,
                        float* products,
                        int64_t product_stride);
  /* matches[j] = the number of equal bits of signature[words] and of signatures[j * words ...]. */
  void (*match_bits)(const uint64_t* signature,
                     const uint64_t* signatures,
                     size_t words,
                     size_t count,
                     float* matches);
  /* weights[j] = exp(scale * (scores[j] - top)) in float64; 0 for a score of -infinity. */
  void (*exponentials)(const float* scores, size_t count, double scale, float top, double* weights);

  /* MASKERADE_DEPENDS_*: what the masker may read, as its descriptor declares it (since 1.2). */
  uint32_t depends_on;

  /* How positions were applied to q and k; NULL where the data does not say. Lives as long as the
   * instance (since 1.3). */
  const maskerade_rope* rope;
  /* Apply positions to vectors[count][dim], one position each, as q and k have them, and undo it up
   * to rounding. Fail, and change nothing, where `rope` is NULL or has more pairs than dim / 2
   * (since 1.3). */
  int32_t (*rotate)(const maskerade_host* host,
                    float* vectors,
                    size_t count,
                    size_t dim,
                    const int64_t* positions);
  int32_t (*unrotate)(const maskerade_host* host,
                      float* vectors,
                      size_t count,
                      size_t dim,
                      const int64_t* positions);
};

/* ---- Grain: the unit of one select() call -----------------------------------------------------
 */

enum {
  MASKERADE_HEADS_ONE = 0,   /* one query head */
  MASKERADE_HEADS_GROUP = 1, /* the query heads that share one kv head */
  MASKERADE_HEADS_ALL = 2    /* all query heads */
};

/* As query_block: all queries of a head are one unit. */
#define MASKERADE_ALL_QUERIES INT64_MAX

/* The block of tokens that a position lies in: position / block, rounded down. Positions are
 * negative for queries before the first key, which see all keys when the attention is not causal.
 */
MASKERADE_ANYWHERE int64_t maskerade_block_of(int64_t position, int64_t block) {
  if (block == MASKERADE_ALL_QUERIES) return 0;
  return position >= 0 ? position / block : -((block - 1 - position) / block);
}

/* What select() must see together. The host cuts the work at unit borders and nowhere else: queries
 * that follow each other belong to one unit while maskerade_block_of(position, query_block) stays
 * the same, and a call gets whole units. */
typedef struct maskerade_grain {
  int64_t query_block; /* in tokens of absolute position; 1: every row by itself; or
                          MASKERADE_ALL_QUERIES */
  uint32_t heads;      /* MASKERADE_HEADS_* */
} maskerade_grain;

/* ---- The call and the host's services ---------------------------------------------------------
 */

typedef struct maskerade_services maskerade_services;

/* One call of select(): the rows (head, query) for head in [head_begin, head_end) and query in
 * [query_begin, query_end), numbered row = (head - head_begin) * (query_end - query_begin) +
 * (query - query_begin). Everything is const: a masker changes nothing but through `services`.
 *
 * What depends_on does not declare cannot be read here (since 1.2; plugins of an older version see
 * what that version showed them, which of these was HEAD, BATCH and SHAPE):
 *  - without HEAD, heads are numbered from 0 in every call: head_begin and kv_head are 0, and q,
 *    k, v and indexes begin with the call's first head and its kv head;
 *  - without BATCH, batch is 0; q, k, v and indexes are those of the call's batch entry anyway;
 *  - without SHAPE, queries are numbered from 0 in every call, q begins with the first of them,
 *    positions and visible_ends are NULL, causal, shape.query_len and shape.key_len are 0, and
 *    key_end is INT64_MAX;
 *  - without QUERY, KEY or VALUE, the data of q, k or v is NULL.
 * The layer can always be read: an instance belongs to one layer. */
typedef struct maskerade_call {
  uint32_t struct_size;
  uint32_t causal; /* 1: a query at position p sees keys 0 ... p; 0: every key */
  maskerade_shape shape;
  float scale; /* logit = scale * q.k; natural logarithm base */
  int64_t layer;
  int64_t batch;
  int64_t head_begin, head_end;
  int64_t query_begin, query_end;
  int64_t kv_head;             /* kv head of head_begin */
  int64_t key_begin, key_end;  /* the keys present here; selections outside are ignored */
  const int64_t* positions;    /* [query_len] absolute position of every query */
  const int64_t* visible_ends; /* [query_len] the visible keys of query i are 0 ... ends[i] - 1 */
  maskerade_matrix q; /* [query_heads, query_len, head_dim]; data is NULL unless declared */
  maskerade_matrix k; /* [kv_heads, key_len, head_dim]; likewise */
  maskerade_matrix v; /* as k */
  const void* const*
      indexes; /* [kv_heads] this batch entry's indexes; NULL for a masker without an index, and an
                  entry is NULL where no head of any call reads that kv head */
  const maskerade_services* services;
  const maskerade_host* host; /* the instance's */
  void* self;                 /* the host's own */
} maskerade_call;

/* What the host does for a masker. All functions: [one thread] per call, the one that select() runs
 * on, until it returns. A failure is remembered by the host even if the masker ignores it; what
 * returns a number or a pointer then gives 0 or NULL. A service that looks at something refuses
 * unless the descriptor's depends_on declares it: scores QUERY and KEY, random numbers SEED, and
 * what tells which keys are active (top-k and draws leave those out) ACTIVE. */
struct maskerade_services {
  uint32_t struct_size;

  /* Writing. Selections are clipped to the row's visible keys; the result of the masker is united
   * with what was active before. */

  /* Adds keys [key_begin, key_end) to rows [row_begin, row_end), with probability 1. */
  int32_t (*add_range)(const maskerade_call* call,
                       int64_t row_begin,
                       int64_t row_end,
                       int64_t key_begin,
                       int64_t key_end);
  /* Adds `count` keys to a row, in any order. probabilities: one per key in (0, 1], or NULL for 1.
   * Fails on a key outside [0, key_len) or a probability outside (0, 1]. */
  int32_t (*add_keys)(const maskerade_call* call,
                      int64_t row,
                      const int32_t* keys,
                      const float* probabilities,
                      size_t count);

  /* Reading what is active so far, the call's own additions included. */

  /* Writes word_count 64-bit words: bit j of word w is 1 when key first_key + 64 w + j is active in
   * the row, with whatever probability. first_key is a multiple of 64. */
  int32_t (*active_bits)(const maskerade_call* call,
                         int64_t row,
                         int64_t first_key,
                         uint64_t* words,
                         size_t word_count);
  /* The number of active keys of the row. */
  int64_t (*active_count)(const maskerade_call* call, int64_t row);
  /* The row's entries with probability < 1, by ascending key. Writes up to `capacity` of them and
   * returns how many there are. */
  size_t (*sampled_entries)(const maskerade_call* call,
                            int64_t row,
                            int32_t* keys,
                            float* probabilities,
                            size_t capacity);

  /* Scoring. A score is q.k in float32, without scale, summed in one order on every device and
   * thread count: s = fma(q[d], k[d], s) for d = 0, 1, ..., from s = 0. */

  /* scores[(row - row_begin) * score_stride + key - key_begin] = q(row).k(key) for rows [row_begin,
   * row_end) and keys [key_begin, key_end). Rows that read one kv head together read its keys once.
   */
  int32_t (*score_range)(const maskerade_call* call,
                         int64_t row_begin,
                         int64_t row_end,
                         int64_t key_begin,
                         int64_t key_end,
                         float* scores,
                         int64_t score_stride);
  /* scores[j] = q(row).k(keys[j]). */
  int32_t (*score_keys)(
      const maskerade_call* call, int64_t row, const int32_t* keys, size_t count, float* scores);

  /* Top-k. Among the row's visible inactive keys, adds the `count` with the highest scores (clipped
   * to how many there are); equal scores: the lower key first; NaN counts as -infinity. */

  /* scores[j] belongs to key key_begin + j; keys outside [key_begin, key_end) are no candidates. */
  int32_t (*add_top_scores)(const maskerade_call* call,
                            int64_t row,
                            const float* scores,
                            int64_t key_begin,
                            int64_t key_end,
                            int64_t count);
  /* The same by q.k, for rows [row_begin, row_end); counts[i] belongs to row row_begin + i. */
  int32_t (*add_top_products)(const maskerade_call* call,
                              int64_t row_begin,
                              int64_t row_end,
                              const int64_t* counts);
  /* Plain top-k over any scores (of blocks, pages): writes the indices of the min(count, length)
   * highest, ascending by index; ties and NaN as above. Returns how many it wrote. */
  size_t (*top_indices)(const maskerade_call* call,
                        const float* scores,
                        size_t length,
                        size_t count,
                        int32_t* indices);

  /* Randomness, counter-based: keyed by (seed, the masker's place in the pipeline, layer, batch,
   * query head, absolute position, purpose, key), so no order of calls can change it. `purpose`
   * separates the masker's own uses. */

  /* A uniform number in [0, 1) for (row, key). */
  double (*uniform)(const maskerade_call* call, int64_t row, uint32_t purpose, int64_t key);
  /* Draws without replacement: of the row's visible inactive keys in [key_begin, key_end), the
   * min(count, population) with the smallest (32-bit random number of the key, key), ascending by
   * key. Nested: a larger count keeps the smaller count's keys. Writes the keys and the size of the
   * population; returns how many keys it wrote. */
  size_t (*draw)(const maskerade_call* call,
                 int64_t row,
                 uint32_t purpose,
                 int64_t key_begin,
                 int64_t key_end,
                 size_t count,
                 int32_t* keys,
                 size_t* population);

  /* Memory, and what the result reports. */

  /* 64-byte aligned memory until select() returns; NULL when there is none. Not cleared. */
  void* (*scratch)(const maskerade_call* call, size_t bytes);
  /* Adds to the keys scored and bytes read that the result reports. The host counts what its own
   * services score and read; a masker adds what it scores and reads by itself. */
  void (*count_work)(const maskerade_call* call, int64_t keys_scored, int64_t bytes_read);
};

/* ---- Extensions ---------------------------------------------------------------------------------
 *
 * What a masker may offer beside create() and select(). Each is a struct that get_extension() of
 * the descriptor gives for a versioned name. The host asks for the names that it knows, and for no
 * others; a struct that it gets must be whole. */

/* Key-side state built once per (masker, layer, batch, kv head) and handed to select() as
 * call->indexes[kv_head]. Fetched as MASKERADE_EXTENSION_INDEX. */
#define MASKERADE_EXTENSION_INDEX "maskerade.index/1"

/* Keys [key_begin, key_end) of one kv head: row_stride elements apart, head_dim contiguous. */
typedef struct maskerade_key_span {
  uint32_t struct_size;
  uint32_t dtype;
  const void* keys;
  const void* values; /* NULL unless the descriptor declares MASKERADE_DEPENDS_VALUE */
  int64_t key_row_stride, value_row_stride;
  int64_t key_begin, key_end;
  int64_t head_dim;
  int64_t layer, batch, kv_head; /* batch and kv_head are 0 unless BATCH and HEAD are declared */
  const maskerade_host* host;    /* the instance's */
} maskerade_key_span;

typedef struct maskerade_index_extension {
  uint32_t struct_size;
  uint32_t spans_future; /* 1: the index of a causal sequence is used by queries that do not see all
                            of its keys; the host reports it with the result */
  /* Builds an index over keys [0, key_end); the caller destroys it. [any thread] */
  int32_t (*build)(const void* masker,
                   const maskerade_key_span* keys,
                   void** index,
                   char* error,
                   size_t error_size);
  /* Appends keys that follow those present; any split gives the same index. [one thread] */
  int32_t (*append)(const void* masker,
                    void* index,
                    const maskerade_key_span* keys,
                    char* error,
                    size_t error_size);
  /* Forgets the keys from keys->key_end on. `keys` are those that stay, from key 0: an index that
   * summarises keys may read again what it needs. [one thread] */
  int32_t (*truncate)(const void* masker,
                      void* index,
                      const maskerade_key_span* keys,
                      char* error,
                      size_t error_size);
  /* The bytes that the index occupies. [any thread] */
  size_t (*size_bytes)(const void* masker, const void* index);
  void (*destroy)(const void* masker, void* index); /* [one thread] */
  /* NULL, or what the host calls in the place of size_bytes, for a masker whose size can fail
   * (since 1.2). [any thread] */
  int32_t (*try_size_bytes)(
      const void* masker, const void* index, size_t* bytes, char* error, size_t error_size);
  /* 1: appending keys gives the index that building over all of them gives (since 1.3). 0: not
   * so, because the index keeps statistics of the keys that it was built over, as a codebook or a
   * mean; or nothing is promised. */
  uint32_t append_is_build;
} maskerade_index_extension;

/* Selecting on a CUDA device, for all rows at once (since 1.1). Fetched as
 * MASKERADE_EXTENSION_CUDA. What a masker selects there is bit for bit what its select() selects,
 * which stays: a host without a device uses that. Device code stands in the plugin's own kernels
 * and in the host's, which it calls through maskerade_cuda_services; `masker.cuh` has what kernels
 * are written with. [stream-ordered]: enqueues in call->stream and does not wait; the host's thread
 * waits for the device only before a masker of the pipeline that runs on the CPU, and after the
 * last. */
#define MASKERADE_EXTENSION_CUDA "maskerade.cuda/1"

/* The most that a masker adds, known before it runs; INT64_MAX where it cannot say. The host
 * allocates memory by it for later stages; a masker that adds more fails the cell. A tile is 64
 * keys from a multiple of 64 on; a tile row is up to 64 queries of a head, from a multiple of 64
 * on. */
typedef struct maskerade_cuda_bounds {
  int64_t tiles_per_tile_row; /* tiles that get their first key with probability 1 */
  int64_t keys_per_row;       /* keys with probability 1 */
  int64_t sampled_per_row;    /* keys with probability below 1; 0 unless it samples */
} maskerade_cuda_bounds;

enum {
  MASKERADE_CUDA_OVERFLOW = 1u << 0, /* a masker added more entries than its bounds say */
  MASKERADE_CUDA_SAMPLED_TWICE =
      1u << 1, /* sampled_keys of a row are not its sampled_bits, each once */
  MASKERADE_CUDA_NO_PROBABILITY = 1u << 2 /* a probability outside (0, 1] */
};

/* The mask so far, in device memory; row (b * heads + h) * query_len + query. Plain pointers, to be
 * handed to kernels by value. Whoever adds entries must leave out the keys that a row does not see:
 * the host clips nothing here. */
typedef struct maskerade_cuda_rows {
  int64_t batch; /* 1, or that of the shape */
  int64_t heads; /* 1: the same for all; or the query heads */
  int64_t query_len;
  int64_t key_len;
  int64_t words;               /* of a row: key_len / 64, rounded up */
  const int64_t* positions;    /* [query_len] */
  const int32_t* visible_ends; /* [query_len] */
  uint64_t* bits;              /* [rows][words] keys with probability 1 */
  uint64_t* sampled_bits;      /* [rows][words] the others; NULL: there are none */
  int32_t* sampled_counts;     /* [rows] entries in the two lists that follow, in any order */
  int32_t* sampled_keys;       /* [rows][sampled_capacity] */
  float* sampled_probabilities;
  int64_t sampled_capacity;
  uint32_t* faults; /* MASKERADE_CUDA_OVERFLOW, ...: bits that kernels set where something fails */
} maskerade_cuda_rows;

/* A read-only tensor [batch, heads, length, head_dim] in device memory; head_dim is contiguous. */
typedef struct maskerade_cuda_tensor {
  const void* data; /* NULL unless the descriptor declares it */
  uint32_t dtype;   /* MASKERADE_FLOAT32, ... */
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
} maskerade_cuda_tensor;

typedef struct maskerade_cuda_services maskerade_cuda_services;

/* One selection. Everything but what says "device" lies in host memory, until select() returns.
 * What depends_on does not declare is hidden as in maskerade_call, but for what `rows` hold: all
 * batch entries and heads come at once, and kernels write beside what is active. That a masker uses
 * of it what it declares, and no more, follows from the rule that it selects bit for bit what its
 * select() selects, which is shown nothing else. */
typedef struct maskerade_cuda_call {
  uint32_t struct_size;
  uint32_t causal;
  maskerade_shape shape;
  float scale;
  int64_t layer;
  uint64_t seed; /* with `place` the key of random numbers; both 0 unless MASKERADE_DEPENDS_SEED */
  uint32_t place;
  const int64_t* positions;    /* [query_len] */
  const int64_t* visible_ends; /* [query_len] */
  maskerade_cuda_rows rows;    /* the mask so far; with batch and heads for this masker's entries.
                                  Its pointers are NULL in bounds() */
  maskerade_cuda_tensor q, k, v;
  const void* indexes; /* device: what index_data() gave for (b, kv_head) begins index_stride *
                          (b * kv_heads + kv_head) bytes from here; NULL without an index */
  int64_t index_stride;
  void* stream; /* cudaStream_t */
  const maskerade_cuda_services* services;
  const maskerade_host* host; /* the instance's */
  void* self;                 /* the host's own */
} maskerade_cuda_call;

/* What the host does for a masker on the device. All functions [one thread], [stream-ordered]; all
 * arrays in device memory unless said. A failure is remembered by the host even if the masker
 * ignores it. Rows are those of maskerade_cuda_rows, and an array per row [rows] has one element
 * for each. What looks at something refuses unless the descriptor declares it, as on the CPU. */
struct maskerade_cuda_services {
  uint32_t struct_size;

  /* 256-byte aligned memory for what this call enqueues; not cleared. NULL when there is none. */
  void* (*allocate)(const maskerade_cuda_call* call, size_t bytes);
  /* As allocate(), filled with a copy of `source`, host memory that may be freed on return. */
  void* (*upload)(const maskerade_cuda_call* call, const void* source, size_t bytes);

  /* How many keys of a row are active, of [0, key_len), with whatever probability. */
  int32_t (*count_active)(const maskerade_cuda_call* call, int64_t* counts);
  /* How many visible keys of a row in [key_begins[row], key_ends[row]) are inactive. */
  int32_t (*count_inactive)(const maskerade_cuda_call* call,
                            const int64_t* key_begins,
                            const int64_t* key_ends,
                            int64_t* counts);

  /* scores[(row - row_begin) * score_stride + key] = q.k of the keys that the row sees, for rows
   * [row_begin, row_end); summed as on the CPU: s = fma(q[d], k[d], s), d ascending. The
   * scores of keys that a row does not see are unspecified. */
  int32_t (*score_rows)(const maskerade_cuda_call* call,
                        int64_t row_begin,
                        int64_t row_end,
                        float* scores,
                        int64_t score_stride);
  /* products[i * product_stride + j] = vectors[i * dim ...] . rows[g * group_stride + j *
   * row_stride ...] with g = i / group_vectors, i < vector_count, j < count, in float32 and in the
   * same order. */
  int32_t (*multiply_rows)(const maskerade_cuda_call* call,
                           const float* vectors,
                           int64_t vector_count,
                           int64_t group_vectors,
                           const float* rows,
                           int64_t group_stride,
                           int64_t row_stride,
                           int64_t count,
                           int64_t dim,
                           float* products,
                           int64_t product_stride);

  /* Top-k, with the ties and the NaN of the CPU's. Adds to rows [row_begin, row_end) their counts[]
   * best visible inactive keys by score_rows' scores; counts[0] belongs to row_begin. */
  int32_t (*add_top_scores)(const maskerade_cuda_call* call,
                            int64_t row_begin,
                            int64_t row_end,
                            const float* scores,
                            int64_t score_stride,
                            const int64_t* counts);
  /* The same by q.k, for all rows. */
  int32_t (*add_top_products)(const maskerade_cuda_call* call, const int64_t* counts);
  /* Bit j of bits[i * word_stride + j / 64] becomes 1 when candidate j < lengths[i] is one of the
   * counts[i] best of list i by scores[i * score_stride + j], else 0, for i < list_count; j / 64 <
   * word_stride. excluded: bits, laid out likewise, of what is no candidate, or NULL. */
  int32_t (*top_bits)(const maskerade_cuda_call* call,
                      int64_t list_count,
                      const float* scores,
                      int64_t score_stride,
                      const int64_t* lengths,
                      const int64_t* counts,
                      const uint64_t* excluded,
                      uint64_t* bits,
                      int64_t word_stride);

  /* draw() of the CPU for all rows, of the keys [key_begins[row], key_ends[row]); what is drawn is
   * added with probabilities[row]. */
  int32_t (*draw)(const maskerade_cuda_call* call,
                  uint32_t purpose,
                  const int64_t* key_begins,
                  const int64_t* key_ends,
                  const int64_t* counts,
                  const float* probabilities);

  /* As on the CPU. */
  void (*count_work)(const maskerade_cuda_call* call, int64_t keys_scored, int64_t bytes_read);
};

typedef struct maskerade_cuda_extension {
  uint32_t struct_size;
  /* Says what it will add at most and gives 1; 0 when these arguments are for the CPU. [any thread]
   */
  int32_t (*bounds)(const void* masker,
                    const maskerade_cuda_call* call,
                    maskerade_cuda_bounds* bounds);
  /* The bytes of an index that select() needs on the device, as many for every kv head. The
   * function is NULL for a masker without an index. What it returns is the index's, and valid until
   * that is appended to, truncated or destroyed. [any thread] */
  const void* (*index_data)(const void* masker, const void* index, size_t* bytes);
  /* Enqueues what adds this masker's entries to call->rows. [one thread, stream-ordered] */
  int32_t (*select)(const void* masker,
                    const maskerade_cuda_call* call,
                    char* error,
                    size_t error_size);
  /* NULL, or what the host calls in the place of bounds and of index_data, for a masker that can
   * fail in them (since 1.2). *is_on_device becomes what bounds() returns. [any thread] */
  int32_t (*try_bounds)(const void* masker,
                        const maskerade_cuda_call* call,
                        maskerade_cuda_bounds* bounds,
                        int32_t* is_on_device,
                        char* error,
                        size_t error_size);
  int32_t (*try_index_data)(const void* masker,
                            const void* index,
                            const void** data,
                            size_t* bytes,
                            char* error,
                            size_t error_size);
} maskerade_cuda_extension;

/* How a library was built (since 1.3), for the host to report. Fetched as
 * MASKERADE_EXTENSION_BUILD. MASKERADE_EXPORT_MASKER of the C++ SDK gives it; a plugin in C gives
 *   static const maskerade_build_extension kBuild = MASKERADE_THIS_BUILD; */
#define MASKERADE_EXTENSION_BUILD "maskerade.build/1"

enum {
  MASKERADE_BUILD_OPTIMISED = 1u << 0,
  MASKERADE_BUILD_NDEBUG = 1u << 1, /* assert() does nothing */
  MASKERADE_BUILD_FAST_MATH = 1u << 2,
  MASKERADE_BUILD_ADDRESS_SANITIZER = 1u << 3,
  MASKERADE_BUILD_BUILT_IN = 1u << 4 /* as a part of the host's own project */
};

typedef struct maskerade_build_extension {
  uint32_t struct_size;
  uint32_t flags;       /* MASKERADE_BUILD_* */
  const char* compiler; /* its name and version: "gcc 12.2.0" */
} maskerade_build_extension;

/* What the compiler says of the source that includes this. */
#define MASKERADE_TEXT_OF(value) #value
#define MASKERADE_VERSION_TEXT(major, minor, patch) \
  MASKERADE_TEXT_OF(major) "." MASKERADE_TEXT_OF(minor) "." MASKERADE_TEXT_OF(patch)
#if defined(__clang__)
#define MASKERADE_COMPILER \
  "clang " MASKERADE_VERSION_TEXT(__clang_major__, __clang_minor__, __clang_patchlevel__)
#elif defined(__GNUC__)
#define MASKERADE_COMPILER \
  "gcc " MASKERADE_VERSION_TEXT(__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__)
#else
#define MASKERADE_COMPILER "another compiler"
#endif
#if defined(__OPTIMIZE__)
#define MASKERADE_IS_OPTIMISED MASKERADE_BUILD_OPTIMISED
#else
#define MASKERADE_IS_OPTIMISED 0u
#endif
#if defined(NDEBUG)
#define MASKERADE_IS_NDEBUG MASKERADE_BUILD_NDEBUG
#else
#define MASKERADE_IS_NDEBUG 0u
#endif
#if defined(__FAST_MATH__)
#define MASKERADE_IS_FAST_MATH MASKERADE_BUILD_FAST_MATH
#else
#define MASKERADE_IS_FAST_MATH 0u
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MASKERADE_IS_ADDRESS_SANITIZER MASKERADE_BUILD_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MASKERADE_IS_ADDRESS_SANITIZER MASKERADE_BUILD_ADDRESS_SANITIZER
#endif
#if !defined(MASKERADE_IS_ADDRESS_SANITIZER)
#define MASKERADE_IS_ADDRESS_SANITIZER 0u
#endif
#if defined(MASKERADE_BUILT_IN)
#define MASKERADE_IS_BUILT_IN MASKERADE_BUILD_BUILT_IN
#else
#define MASKERADE_IS_BUILT_IN 0u
#endif
#define MASKERADE_THIS_BUILD                                                    \
  {                                                                             \
    sizeof(maskerade_build_extension),                                          \
        MASKERADE_IS_OPTIMISED | MASKERADE_IS_NDEBUG | MASKERADE_IS_FAST_MATH | \
            MASKERADE_IS_ADDRESS_SANITIZER | MASKERADE_IS_BUILT_IN,             \
        MASKERADE_COMPILER                                                      \
  }

/* ---- The descriptor
 * ------------------------------------------------------------------------------ */

/* What a selection is a function of. Caching, broadcasting over heads and batch, and the order
 * rules of sampling follow from it, so it must be complete: what is not declared cannot be read.
 * Services refuse, with a text that names what to add; the call holds nothing of it (see
 * maskerade_call); in masker.hpp, to ask for it is an error with that text.
 * A masker that declares none of HEAD, SEED, QUERY, KEY and VALUE is called for head 0 alone as
 * long as what is active is the same for all heads, and its selection holds for all of them;
 * likewise with BATCH and batch entries. */
enum {
  MASKERADE_DEPENDS_SHAPE = 1u << 0, /* lengths, positions, causality */
  MASKERADE_DEPENDS_HEAD = 1u << 1,  /* which head it is, beyond the numbers that it reads */
  MASKERADE_DEPENDS_BATCH = 1u << 2, /* likewise, which batch entry */
  MASKERADE_DEPENDS_SEED = 1u << 3,
  MASKERADE_DEPENDS_QUERY = 1u << 4,
  MASKERADE_DEPENDS_KEY = 1u << 5,
  MASKERADE_DEPENDS_VALUE = 1u << 6,
  MASKERADE_DEPENDS_ACTIVE = 1u << 7 /* reads what earlier maskers made active */
};

/* Traits: what the host must know of a masker beside what it depends on. */
enum {
  MASKERADE_TRAIT_SAMPLES =
      1u << 0 /* may add entries with probability < 1. Rationale: a masker that
                 reads what is active may not follow a sampler: it would bias the estimate */
};

/* What create() gets: the problem and the arguments of the new instance. */
typedef struct maskerade_create_info {
  uint32_t struct_size;
  maskerade_shape shape; /* query_len and key_len are those of the first call and may change; they
                            and `causal` are 0 unless SHAPE is declared */
  uint32_t causal;
  int64_t layer;
  const maskerade_argument* arguments; /* one per parameter, in the order of the table */
  size_t argument_count;
  const maskerade_host* host; /* lives as long as the instance */
} maskerade_create_info;

typedef struct maskerade_masker_descriptor {
  uint32_t abi_major; /* MASKERADE_ABI_MAJOR */
  uint32_t abi_minor; /* MASKERADE_ABI_MINOR */
  uint32_t struct_size;
  uint32_t depends_on;                   /* MASKERADE_DEPENDS_* */
  uint32_t traits;                       /* MASKERADE_TRAIT_* */
  const char* id;                        /* snake_case: the name in experiment files */
  const char* summary;                   /* one line */
  const char* reference;                 /* the paper (arXiv number) or "" */
  const maskerade_parameter* parameters; /* the first is the one that {masker: value} sets */
  size_t parameter_count;

  /* Makes an instance, NULL for a masker without state; destroy() gets it back, NULL included, once
   * for every create() that did not fail. Arguments and info live only for the call. [any thread]
   */
  int32_t (*create)(const maskerade_create_info* info,
                    void** masker,
                    maskerade_grain* grain,
                    char* error,
                    size_t error_size);
  /* Adds this masker's entries for one call's rows. [any thread] */
  int32_t (*select)(const void* masker, const maskerade_call* call, char* error, size_t error_size);
  void (*destroy)(void* masker); /* [one thread] */
  /* The extension of that versioned name, static, or NULL. May itself be NULL. [any thread] */
  const void* (*get_extension)(const char* name);
} maskerade_masker_descriptor;

/* The exported function. The descriptor lives as long as the library. [any thread] */
typedef const maskerade_masker_descriptor* (*maskerade_masker_entry_function)(void);

#ifdef __cplusplus
}
#endif

#endif /* MASKERADE_FRAMEWORK_SDK_MASKER_ABI_H_ */
