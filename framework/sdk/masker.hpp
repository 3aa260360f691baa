// A masker in C++: derive from one base class, override one function, export it.
//
//   class Sink final : public maskerade::sdk::RowMasker {
//    public:
//     static maskerade::sdk::Description describe();
//     explicit Sink(const maskerade::sdk::Arguments& arguments);
//     void select_row(const maskerade::sdk::Row& row) const override;
//   };
//   MASKERADE_EXPORT_MASKER(Sink)
//
// RowMasker    one row at a time: query, visible keys, what is active; adds ranges or keys.
// ScoreMasker  scores keys; the host excludes what is active, breaks ties and takes the budget.
// BlockMasker  one row of blocks at a time, for a head or a kv group; adds blocks.
// Masker       everything at once.
//
// Functions may throw: the text reaches the user with the library's name. Maskers are shared
// between threads, hence const.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

// ---- Description
// ----------------------------------------------------------------------------------

inline constexpr std::uint32_t kShape = MASKERADE_DEPENDS_SHAPE;
inline constexpr std::uint32_t kHead = MASKERADE_DEPENDS_HEAD;
inline constexpr std::uint32_t kBatch = MASKERADE_DEPENDS_BATCH;
inline constexpr std::uint32_t kSeed = MASKERADE_DEPENDS_SEED;
inline constexpr std::uint32_t kQuery = MASKERADE_DEPENDS_QUERY;
inline constexpr std::uint32_t kKey = MASKERADE_DEPENDS_KEY;
inline constexpr std::uint32_t kValue = MASKERADE_DEPENDS_VALUE;
inline constexpr std::uint32_t kActive = MASKERADE_DEPENDS_ACTIVE;

// One row of the parameter table, written as a chain:
//   tokens("window", "keys before and at the query").with_default("128")
class Parameter {
 public:
  Parameter(std::uint32_t unit, const char* name, const char* doc) {
    c_.struct_size = sizeof(c_);
    c_.unit = unit;
    c_.flags = 0;
    c_.name = name;
    c_.default_value = nullptr;
    c_.minimum = unit == MASKERADE_UNIT_NUMBER ? -kUnbounded : 0;
    c_.maximum = unit == MASKERADE_UNIT_SHARE ? 1 : kUnbounded;
    c_.choices = nullptr;
    c_.doc = doc;
  }
  // Without a default the parameter is required.
  Parameter with_default(const char* value) && { return c_.default_value = value, *this; }
  Parameter at_least(double minimum) && { return c_.minimum = minimum, *this; }
  Parameter above(double minimum) && {
    c_.flags |= MASKERADE_MINIMUM_EXCLUDED;
    return c_.minimum = minimum, *this;
  }
  Parameter at_most(double maximum) && { return c_.maximum = maximum, *this; }
  Parameter below(double maximum) && {
    c_.flags |= MASKERADE_MAXIMUM_EXCLUDED;
    return c_.maximum = maximum, *this;
  }
  Parameter affects_index() && { return c_.flags |= MASKERADE_AFFECTS_INDEX, *this; }
  Parameter list() && { return c_.flags |= MASKERADE_LIST, *this; }
  Parameter choices(std::vector<const char*> names) && {
    choices_ = std::move(names);
    choices_.push_back(nullptr);
    return *this;
  }
  // The C row; choices point into this object.
  maskerade_parameter c_row() const {
    maskerade_parameter row = c_;
    row.choices = choices_.empty() ? nullptr : choices_.data();
    return row;
  }

 private:
  static constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  maskerade_parameter c_{};
  std::vector<const char*> choices_;
};

inline Parameter tokens(const char* name, const char* doc) {
  return {MASKERADE_UNIT_TOKENS, name, doc};
}
inline Parameter share(const char* name, const char* doc) {
  return {MASKERADE_UNIT_SHARE, name, doc};
}
inline Parameter count(const char* name, const char* doc) {
  return {MASKERADE_UNIT_COUNT, name, doc};
}
inline Parameter blocks(const char* name, const char* doc) {
  return {MASKERADE_UNIT_BLOCKS, name, doc};
}
inline Parameter number(const char* name, const char* doc) {
  return {MASKERADE_UNIT_NUMBER, name, doc};
}
inline Parameter file(const char* name, const char* doc) {
  return {MASKERADE_UNIT_FILE, name, doc};
}
inline Parameter choice(const char* name, std::vector<const char*> names, const char* doc) {
  return Parameter(MASKERADE_UNIT_CHOICE, name, doc).choices(std::move(names));
}

// What the host and `maskerade list` know of a masker. Texts are literals.
struct Description {
  const char* id;
  const char* summary;
  const char* reference = "";
  std::uint32_t depends_on = 0;  // kShape | kQuery | ...
  std::uint32_t traits = 0;      // MASKERADE_TRAIT_SAMPLES
  std::vector<Parameter> parameters;
};

// ---- The host
// ---------------------------------------------------------------------------------------

// A tensor of a file, the last axis fastest. Lives as long as the masker.
class FileTensor {
 public:
  FileTensor(const maskerade_tensor& tensor, std::string what)
      : tensor_(tensor), what_(std::move(what)) {}

  std::span<const std::int64_t> shape() const { return {tensor_.shape, tensor_.rank}; }
  std::size_t size() const {
    std::size_t size = 1;
    for (const std::int64_t axis : shape()) size *= static_cast<std::size_t>(axis);
    return size;
  }
  std::span<const float> floats() const {
    return typed<float>(MASKERADE_TENSOR_FLOAT32, "floating-point numbers");
  }
  std::span<const std::int64_t> integers() const {
    return typed<std::int64_t>(MASKERADE_TENSOR_INT64, "whole numbers");
  }
  std::span<const std::uint8_t> bytes() const {
    return typed<std::uint8_t>(MASKERADE_TENSOR_UINT8, "bytes or booleans");
  }
  std::uint32_t type() const { return tensor_.type; }
  // "FILE: tensor "NAME"", for messages.
  const std::string& what() const { return what_; }
  // Throws unless the shape is `expected`; -1 stands for any size. axes: "[heads, head_dim]".
  const FileTensor& require_shape(std::initializer_list<std::int64_t> expected,
                                  const char* axes) const {
    bool fits = expected.size() == tensor_.rank;
    std::string wanted;
    std::string found;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::int64_t size = expected.begin()[i];
      fits = fits && (size < 0 || size == tensor_.shape[i]);
      wanted += (i > 0 ? ", " : "") + (size < 0 ? std::string("any") : std::to_string(size));
    }
    for (const std::int64_t size : shape()) {
      found += (found.empty() ? "" : ", ") + std::to_string(size);
    }
    if (!fits) {
      throw std::runtime_error(what_ + ": its shape is [" + found + "]; it must be " + axes +
                               " = [" + wanted + "]");
    }
    return *this;
  }

 private:
  template <typename Value>
  std::span<const Value> typed(std::uint32_t type, const char* wanted) const {
    if (tensor_.type != type) {
      throw std::runtime_error(what_ + ": it must hold " + wanted);
    }
    return {static_cast<const Value*>(tensor_.data), size()};
  }

  maskerade_tensor tensor_;
  std::string what_;
};

// The host of an instance: lives as long as it does. [any thread]
class Host {
 public:
  explicit Host(const maskerade_host* host) : host_(host) {}

  // A tensor of a safetensors or JSON file, or the array of an npy file (name ""). Throws.
  FileTensor tensor(const std::string& file, const std::string& name = "") const {
    maskerade_tensor tensor{};
    tensor.struct_size = sizeof(tensor);
    char error[1024] = "";
    if (host_->read_tensor(host_, file.c_str(), name.c_str(), &tensor, error, sizeof(error)) !=
        MASKERADE_OK) {
      throw std::runtime_error(error);
    }
    return {tensor, file + (name.empty() ? "" : ": tensor \"" + name + "\"")};
  }
  bool has_tensor(const std::string& file, const std::string& name) const {
    return host_->has_tensor(host_, file.c_str(), name.c_str()) != 0;
  }
  // Numbers first ... first + numbers.size() - 1 of a purpose's sequence.
  void uniforms(std::uint32_t purpose, std::uint64_t first, std::span<double> numbers) const {
    require_declared(host_->uniforms(host_, purpose, first, numbers.size(), numbers.data()));
  }
  void normals(std::uint32_t purpose, std::uint64_t first, std::span<float> numbers) const {
    require_declared(host_->normals(host_, purpose, first, numbers.size(), numbers.data()));
  }
  // Widens `count` values to float32.
  void to_float(std::uint32_t dtype, const void* source, std::size_t count, float* target) const {
    host_->to_float(dtype, source, count, target);
  }
  // products[i][j] = vectors[i] . rows[j]; vectors [vector_count][dim], rows [count] row_stride
  // apart.
  void multiply_rows(std::span<const float> vectors,
                     const float* rows,
                     std::int64_t row_stride,
                     std::size_t count,
                     std::size_t dim,
                     float* products) const {
    host_->multiply_rows(vectors.data(), vectors.size() / dim, rows, row_stride, count, dim,
                         products);
  }
  // matches[j]: the equal bits of a signature and of signature j of many.
  void match_bits(std::span<const std::uint64_t> signature,
                  std::span<const std::uint64_t> signatures,
                  std::span<float> matches) const {
    host_->match_bits(signature.data(), signatures.data(), signature.size(), matches.size(),
                      matches.data());
  }
  // weights[j] = exp(scale * (scores[j] - top)).
  void exponentials(std::span<const float> scores,
                    double scale,
                    float top,
                    std::span<double> weights) const {
    host_->exponentials(scores.data(), scores.size(), scale, top, weights.data());
  }

 private:
  static void require_declared(std::int32_t status) {
    if (status != MASKERADE_OK) {
      throw std::logic_error(
          "it asks the host for random numbers, but its descriptor does not declare "
          "MASKERADE_DEPENDS_SEED");
    }
  }

  const maskerade_host* host_;
};

// ---- Arguments
// --------------------------------------------------------------------------------------

// A tokens value; means a number of keys for a given row.
class Tokens {
 public:
  explicit Tokens(const maskerade_value& value) : value_(value) { value_.text = nullptr; }
  std::int64_t of(std::int64_t key_len, std::int64_t visible_len) const {
    return maskerade_tokens_of(&value_, key_len, visible_len);
  }

 private:
  maskerade_value value_;
};

// The validated arguments of a new instance, by name, and what it is made for.
class Arguments {
 public:
  Arguments(const maskerade_create_info& info, const Description& description)
      : info_(info), description_(description) {}

  Tokens tokens(std::string_view name) const { return Tokens(one(name)); }
  double share(std::string_view name) const { return one(name).number; }
  double number(std::string_view name) const { return one(name).number; }
  std::int64_t count(std::string_view name) const { return one(name).integer; }
  std::int64_t blocks(std::string_view name) const { return one(name).integer; }
  std::string choice(std::string_view name) const { return one(name).text; }
  std::string file(std::string_view name) const { return one(name).text; }
  // All values of a list parameter.
  std::span<const maskerade_value> list(std::string_view name) const {
    for (std::size_t i = 0; i < description_.parameters.size(); ++i) {
      if (name == description_.parameters[i].c_row().name) {
        return {info_.arguments[i].values, info_.arguments[i].count};
      }
    }
    throw std::logic_error("the masker has no parameter \"" + std::string(name) + "\"");
  }
  const maskerade_shape& shape() const { return info_.shape; }
  bool causal() const { return info_.causal != 0; }
  std::int64_t layer() const { return info_.layer; }
  Host host() const { return Host(info_.host); }

 private:
  const maskerade_value& one(std::string_view name) const { return list(name).front(); }

  const maskerade_create_info& info_;
  const Description& description_;
};

// ---- Calls
// ------------------------------------------------------------------------------------------

// Thrown when a host service refuses; the host has kept the reason.
class HostRefused : public std::runtime_error {
 public:
  HostRefused() : std::runtime_error("a host service refused") {}
};

inline void require_ok(std::int32_t status) {
  if (status != MASKERADE_OK) throw HostRefused();
}

// One (head, query) of a call.
class Row {
 public:
  Row(const maskerade_call& call, std::int64_t row) : call_(&call), row_(row) {
    const std::int64_t queries = call.query_end - call.query_begin;
    head_ = call.head_begin + row / queries;
    query_ = call.query_begin + row % queries;
  }

  const maskerade_call& call() const { return *call_; }
  Host host() const { return Host(call_->host); }
  std::int64_t number() const { return row_; }  // in the call
  std::int64_t head() const { return head_; }
  std::int64_t kv_head() const { return head_ * call_->shape.kv_heads / call_->shape.query_heads; }
  std::int64_t query() const { return query_; }
  std::int64_t position() const { return call_->positions[query_]; }
  std::int64_t key_len() const { return call_->shape.key_len; }
  // Keys 0 ... visible_len() - 1 are visible.
  std::int64_t visible_len() const { return call_->visible_ends[query_]; }
  std::int64_t resolve(const Tokens& tokens) const { return tokens.of(key_len(), visible_len()); }

  // The query, widened to float32. [head_dim], until select() returns
  std::span<const float> query_vector() const {
    const auto dim = static_cast<std::size_t>(call_->shape.head_dim);
    auto* widened = static_cast<float*>(call_->services->scratch(call_, dim * sizeof(float)));
    if (widened == nullptr) throw HostRefused();
    const std::size_t element = call_->q.dtype == MASKERADE_FLOAT32 ? 4 : 2;
    const auto offset =
        static_cast<std::size_t>(head_ * call_->q.head_stride + query_ * call_->q.row_stride);
    call_->host->to_float(call_->q.dtype,
                          static_cast<const std::byte*>(call_->q.data) + offset * element, dim,
                          widened);
    return {widened, dim};
  }
  // The index of this row's kv head.
  template <typename Index>
  const Index& index() const {
    return *static_cast<const Index*>(call_->indexes[kv_head()]);
  }

  std::int64_t active_count() const { return call_->services->active_count(call_, row_); }
  // One bit per key, 64 keys a word: what is active so far.
  std::vector<std::uint64_t> active_bits() const {
    std::vector<std::uint64_t> words(static_cast<std::size_t>((key_len() + 63) / 64));
    require_ok(call_->services->active_bits(call_, row_, 0, words.data(), words.size()));
    return words;
  }
  // scores[j] = q.k of key key_begin + j, in the host's one order of summation.
  void products(std::int64_t key_begin, std::int64_t key_end, std::span<float> scores) const {
    require_ok(call_->services->score_range(call_, row_, key_begin, key_end, scores.data()));
  }

  // Adds keys [key_begin, key_end); what is not visible is left out.
  void add_range(std::int64_t key_begin, std::int64_t key_end) const {
    require_ok(call_->services->add_range(call_, row_, row_ + 1, key_begin, key_end));
  }
  void add_key(std::int64_t key, float probability = 1.0F) const {
    const auto narrow = static_cast<std::int32_t>(key);
    require_ok(call_->services->add_keys(call_, row_, &narrow, &probability, 1));
  }
  // probabilities: one per key, or empty for 1.
  void add_keys(std::span<const std::int32_t> keys,
                std::span<const float> probabilities = {}) const {
    require_ok(call_->services->add_keys(call_, row_, keys.data(),
                                         probabilities.empty() ? nullptr : probabilities.data(),
                                         keys.size()));
  }
  // Adds the `count` best visible inactive keys by scores[key].
  void add_top(std::span<const float> scores, std::int64_t count) const {
    require_ok(call_->services->add_top_scores(call_, row_, scores.data(), 0,
                                               static_cast<std::int64_t>(scores.size()), count));
  }

 private:
  const maskerade_call* call_;
  std::int64_t row_;
  std::int64_t head_;
  std::int64_t query_;
};

inline std::int64_t row_count(const maskerade_call& call) {
  return (call.head_end - call.head_begin) * (call.query_end - call.query_begin);
}

// ---- Bases
// ------------------------------------------------------------------------------------------

// Sees whole calls.
class Masker {
 public:
  Masker() = default;
  Masker(const Masker&) = delete;
  Masker& operator=(const Masker&) = delete;
  virtual ~Masker() = default;

  virtual void select(const maskerade_call& call) const = 0;
  // What a call must hold together; rows and heads by themselves unless overridden.
  virtual maskerade_grain grain() const { return {1, MASKERADE_HEADS_ONE}; }
};

// Sees one row at a time.
class RowMasker : public Masker {
 public:
  virtual void select_row(const Row& row) const = 0;

  void select(const maskerade_call& call) const final {
    for (std::int64_t row = 0; row < row_count(call); ++row) select_row(Row(call, row));
  }
};

// Which heads decide together, and how their scores are pooled.
struct Sharing {
  std::uint32_t heads = MASKERADE_HEADS_ONE;
  bool sum = true;  // else the maximum

  // The two parameters that every content-based masker takes.
  static std::vector<Parameter> parameters() {
    std::vector<Parameter> table;
    table.push_back(choice("share", {"query_head", "kv_head", "all"},
                           "which heads select together, by pooled scores")
                        .with_default("query_head"));
    table.push_back(choice("reduce", {"sum", "max"}, "how the scores of sharing heads are pooled")
                        .with_default("sum"));
    return table;
  }
  static Sharing from(const Arguments& arguments) {
    const std::string share = arguments.choice("share");
    return {share == "all"       ? std::uint32_t{MASKERADE_HEADS_ALL}
            : share == "kv_head" ? std::uint32_t{MASKERADE_HEADS_GROUP}
                                 : std::uint32_t{MASKERADE_HEADS_ONE},
            arguments.choice("reduce") == "sum"};
  }
};

// Scores keys; the host excludes what is active, breaks ties and takes the budget.
class ScoreMasker : public Masker {
 public:
  explicit ScoreMasker(Sharing sharing = {}) : sharing_(sharing) {}

  // Writes scores[j] for keys j of [0, scores.size()), the row's visible keys.
  virtual void score_keys(const Row& row, std::span<float> scores) const = 0;
  // How many keys to add to a row.
  virtual std::int64_t budget(const Row& row) const = 0;

  maskerade_grain grain() const override { return {1, sharing_.heads}; }
  const Sharing& sharing() const { return sharing_; }

  void select(const maskerade_call& call) const override {
    const std::int64_t heads = call.head_end - call.head_begin;
    const std::int64_t queries = call.query_end - call.query_begin;
    std::vector<float> pooled;
    std::vector<float> scores;
    for (std::int64_t query = 0; query < queries; ++query) {
      const auto visible = static_cast<std::size_t>(Row(call, query).visible_len());
      scores.resize(visible);
      for (std::int64_t head = 0; head < heads; ++head) {
        score_keys(Row(call, head * queries + query), head == 0 ? fresh(pooled, visible) : scores);
        if (head > 0) pool(scores, pooled);
      }
      for (std::int64_t head = 0; head < heads; ++head) {
        const Row row(call, head * queries + query);
        row.add_top(pooled, budget(row));
      }
    }
  }

 private:
  static std::span<float> fresh(std::vector<float>& pooled, std::size_t size) {
    pooled.assign(size, 0.0F);
    return pooled;
  }
  void pool(std::span<const float> scores, std::span<float> pooled) const {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      pooled[j] = sharing_.sum ? pooled[j] + scores[j] : std::max(pooled[j], scores[j]);
    }
  }

  Sharing sharing_;
};

// One row of blocks: the queries of a call whose position / block is `number()`, for the heads of
// the call.
class BlockRow {
 public:
  BlockRow(const maskerade_call& call,
           std::int64_t block,
           std::int64_t query_begin,
           std::int64_t query_end)
      : call_(&call), block_(block), query_begin_(query_begin), query_end_(query_end) {}

  const maskerade_call& call() const { return *call_; }
  std::int64_t number() const { return maskerade_block_of(call_->positions[query_begin_], block_); }
  std::int64_t query_begin() const { return query_begin_; }  // in the problem
  std::int64_t query_end() const { return query_end_; }
  std::int64_t key_blocks() const { return (call_->shape.key_len + block_ - 1) / block_; }
  std::int64_t visible_blocks() const {
    const std::int64_t end =
        *std::max_element(call_->visible_ends + query_begin_, call_->visible_ends + query_end_);
    return (end + block_ - 1) / block_;
  }

  void add_block(std::int64_t key_block) const {
    add_range(key_block * block_, (key_block + 1) * block_);
  }
  // Adds keys [key_begin, key_end) to all rows of the block row.
  void add_range(std::int64_t key_begin, std::int64_t key_end) const {
    const std::int64_t queries = call_->query_end - call_->query_begin;
    for (std::int64_t head = 0; head < call_->head_end - call_->head_begin; ++head) {
      const std::int64_t first = head * queries - call_->query_begin;
      require_ok(call_->services->add_range(call_, first + query_begin_, first + query_end_,
                                            key_begin, key_end));
    }
  }

 private:
  const maskerade_call* call_;
  std::int64_t block_;
  std::int64_t query_begin_;
  std::int64_t query_end_;
};

// Sees one row of blocks at a time.
class BlockMasker : public Masker {
 public:
  // block: tokens of a block, >= 1. heads: MASKERADE_HEADS_ONE, _GROUP or _ALL.
  explicit BlockMasker(std::int64_t block, std::uint32_t heads = MASKERADE_HEADS_ONE)
      : grain_{block, heads} {}

  virtual void select_block_row(const BlockRow& row) const = 0;

  maskerade_grain grain() const override { return grain_; }
  void select(const maskerade_call& call) const final {
    std::int64_t begin = call.query_begin;
    while (begin < call.query_end) {
      const auto block_of = [&](std::int64_t query) {
        return maskerade_block_of(call.positions[query], grain_.query_block);
      };
      std::int64_t end = begin + 1;
      while (end < call.query_end && block_of(end) == block_of(begin)) ++end;
      select_block_row(BlockRow(call, grain_.query_block, begin, end));
      begin = end;
    }
  }

 private:
  maskerade_grain grain_;
};

// ---- Export
// -----------------------------------------------------------------------------------------

namespace detail {

// Runs body; an exception becomes a status and a text.
template <typename Body>
std::int32_t guarded(char* error, std::size_t error_size, Body&& body) noexcept {
  const char* text = "unknown exception";
  try {
    body();
    return MASKERADE_OK;
  } catch (const std::exception& exception) {
    if (error_size > 0) {
      std::strncpy(error, exception.what(), error_size - 1);
      error[error_size - 1] = '\0';
    }
    return MASKERADE_FAILED;
  } catch (...) {
    if (error_size > 0) {
      std::strncpy(error, text, error_size - 1);
      error[error_size - 1] = '\0';
    }
    return MASKERADE_FAILED;
  }
}

// A class with an index declares: a type Index; unique_ptr<Index> build(const maskerade_key_span&)
// const; void append(Index&, const maskerade_key_span&) const; void truncate(Index&, int64_t)
// const; size_t size_bytes(const Index&) const; and static constexpr bool kIndexSpansFuture.
template <typename Type>
concept HasIndex = requires {
  typename Type::Index;
};

template <HasIndex Type>
const maskerade_index_extension* index_extension() {
  using Index = typename Type::Index;
  static const maskerade_index_extension extension = {
      sizeof(maskerade_index_extension),
      Type::kIndexSpansFuture ? 1U : 0U,
      [](const void* masker, const maskerade_key_span* keys, void** index, char* error,
         std::size_t error_size) {
        return guarded(error, error_size,
                       [&] { *index = static_cast<const Type*>(masker)->build(*keys).release(); });
      },
      [](const void* masker, void* index, const maskerade_key_span* keys, char* error,
         std::size_t error_size) {
        return guarded(error, error_size, [&] {
          static_cast<const Type*>(masker)->append(*static_cast<Index*>(index), *keys);
        });
      },
      [](const void* masker, void* index, std::int64_t key_end, char* error,
         std::size_t error_size) {
        return guarded(error, error_size, [&] {
          static_cast<const Type*>(masker)->truncate(*static_cast<Index*>(index), key_end);
        });
      },
      [](const void* masker, const void* index) {
        std::size_t bytes = 0;
        guarded(nullptr, 0, [&] {
          bytes = static_cast<const Type*>(masker)->size_bytes(*static_cast<const Index*>(index));
        });
        return bytes;
      },
      [](const void*, void* index) { delete static_cast<Index*>(index); }};
  return &extension;
}

// The descriptor of a masker class and everything it points to.
template <typename Type>
class Exported {
 public:
  // NULL when describe() throws; the loader reports it.
  static const maskerade_masker_descriptor* descriptor() noexcept {
    try {
      static const Exported exported;
      return &exported.descriptor_;
    } catch (...) {
      return nullptr;
    }
  }

 private:
  Exported() : description_(Type::describe()) {
    for (const Parameter& parameter : description_.parameters) rows_.push_back(parameter.c_row());
    descriptor_.abi_major = MASKERADE_ABI_MAJOR;
    descriptor_.abi_minor = MASKERADE_ABI_MINOR;
    descriptor_.struct_size = sizeof(descriptor_);
    descriptor_.depends_on = description_.depends_on;
    descriptor_.traits = description_.traits;
    descriptor_.id = description_.id;
    descriptor_.summary = description_.summary;
    descriptor_.reference = description_.reference;
    descriptor_.parameters = rows_.data();
    descriptor_.parameter_count = rows_.size();
    descriptor_.create = create;
    descriptor_.select = select;
    descriptor_.destroy = [](void* masker) { delete static_cast<Type*>(masker); };
    descriptor_.get_extension = get_extension;
  }

  static std::int32_t create(const maskerade_create_info* info,
                             void** masker,
                             maskerade_grain* grain,
                             char* error,
                             std::size_t error_size) {
    return guarded(error, error_size, [&] {
      const Description description = Type::describe();
      auto made = std::make_unique<Type>(Arguments(*info, description));
      *grain = made->grain();
      *masker = made.release();
    });
  }
  static std::int32_t select(const void* masker,
                             const maskerade_call* call,
                             char* error,
                             std::size_t error_size) {
    return guarded(error, error_size, [&] { static_cast<const Type*>(masker)->select(*call); });
  }
  static const void* get_extension([[maybe_unused]] const char* name) {
    if constexpr (HasIndex<Type>) {
      if (std::string_view(name) == MASKERADE_EXTENSION_INDEX) return index_extension<Type>();
    }
    return nullptr;
  }

  Description description_;
  std::vector<maskerade_parameter> rows_;
  maskerade_masker_descriptor descriptor_{};
};

}  // namespace detail
}  // namespace maskerade::sdk

// Exports a masker class: the one symbol of a plugin. Once per library, at namespace scope.
#define MASKERADE_EXPORT_MASKER(Type)                                                       \
  extern "C" MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry() { \
    return maskerade::sdk::detail::Exported<Type>::descriptor();                            \
  }
