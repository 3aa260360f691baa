#include "framework/pipeline/host_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/saturate.hpp"
#include "framework/pipeline/declared.hpp"
#include "framework/pipeline/detail/host_services.hpp"
#include "framework/sdk/low_bits.hpp"
#include "framework/select/key_tile.hpp"
#include "framework/select/stream_scores.hpp"

namespace maskerade {
namespace {

constexpr std::uint32_t kProducts = MASKERADE_DEPENDS_QUERY | MASKERADE_DEPENDS_KEY;
constexpr std::int64_t kMostRowsTogether = 64;
constexpr std::int64_t kMostScoresTogether = 2'000'000;  // 8 MB of float32 per thread
constexpr std::int64_t kMostPacked = 1'000'000;          // 4 MB likewise
constexpr std::int64_t kKeysOfPart = 4096;               // of a range that threads share

// The matrix of a batch entry that begins with this row of this head.
maskerade_matrix matrix_of(const TensorView& tensor,
                           std::int64_t batch,
                           std::int64_t head,
                           std::int64_t row) {
  return {tensor.row(batch, head, row), static_cast<std::uint32_t>(tensor.dtype),
          tensor.head_stride, tensor.row_stride};
}

void require_key_range(std::int64_t begin, std::int64_t end, std::int64_t key_len) {
  if (begin < 0 || end > key_len || begin > end) {
    throw Error(fmt::format("keys [{}, {}) are outside [0, {})", begin, end, key_len));
  }
}

}  // namespace

HostCall::HostCall(const MaskerContext& context, const Threads& parts)
    : context_(context),
      parts_(parts),
      tile_height_(std::min(kTileRows, context.inputs->shape.query_len)) {
  const AttentionInputs& inputs = *context.inputs;
  call_.struct_size = sizeof(call_);
  call_.causal = shown_causal(inputs.visibility, context.depends_on);
  call_.shape = shown_shape(inputs.shape, context.depends_on);
  call_.scale = inputs.scale;
  call_.layer = inputs.layer;
  call_.key_begin = 0;
  call_.key_end = std::numeric_limits<std::int64_t>::max();
  if ((context.depends_on & MASKERADE_DEPENDS_SHAPE) != 0) {
    call_.key_end = inputs.shape.key_len;
    call_.positions = inputs.visibility.positions().data();
    call_.visible_ends = inputs.visibility.ends().data();
  }
  call_.services = HostServices::table();
  call_.host = context.host;
  call_.self = this;
}

void HostCall::start(const CallRows& rows, const Mask& previous) {
  const AttentionInputs& inputs = *context_.inputs;
  rows_ = rows;
  const auto may_read = [&](std::uint32_t flag) { return (context_.depends_on & flag) != 0; };
  // The numbers of the problem that the call's numbers 0 stand for. Heads that begin a unit map to
  // kv heads in the same way from there, since a unit is one head, the heads of a kv head, or all.
  const std::int64_t first_head = may_read(MASKERADE_DEPENDS_HEAD) ? 0 : rows.head_begin;
  const std::int64_t first_kv_head =
      may_read(MASKERADE_DEPENDS_HEAD) ? 0 : inputs.shape.kv_head_of(rows.head_begin);
  const std::int64_t first_query = may_read(MASKERADE_DEPENDS_SHAPE) ? 0 : rows.query_begin;
  call_.batch = may_read(MASKERADE_DEPENDS_BATCH) ? rows.batch : 0;
  call_.head_begin = rows.head_begin - first_head;
  call_.head_end = rows.head_end - first_head;
  call_.query_begin = rows.query_begin - first_query;
  call_.query_end = rows.query_end - first_query;
  call_.kv_head = inputs.shape.kv_head_of(rows.head_begin) - first_kv_head;
  if (may_read(MASKERADE_DEPENDS_QUERY)) {
    call_.q = matrix_of(inputs.q, rows.batch, first_head, first_query);
  }
  if (may_read(MASKERADE_DEPENDS_KEY)) {
    call_.k = matrix_of(inputs.k, rows.batch, first_kv_head, 0);
  }
  if (may_read(MASKERADE_DEPENDS_VALUE)) {
    call_.v = matrix_of(inputs.v, rows.batch, first_kv_head, 0);
  }
  if (!context_.indexes.empty()) {
    call_.indexes = context_.indexes.data() + rows.batch * inputs.shape.kv_heads + first_kv_head;
  }
  failure_.clear();
  scratch_.release();

  const std::int64_t first_tile_row = rows.query_begin / tile_height_;
  tile_rows_ = (rows.query_end - rows.query_begin + tile_height_ - 1) / tile_height_;
  const auto needed = static_cast<std::size_t>((rows.head_end - rows.head_begin) * tile_rows_);
  while (builders_.size() < needed) builders_.emplace_back(inputs.visibility);
  for (std::int64_t head = rows.head_begin; head < rows.head_end; ++head) {
    for (std::int64_t t = 0; t < tile_rows_; ++t) {
      builders_[static_cast<std::size_t>((head - rows.head_begin) * tile_rows_ + t)].start(
          first_tile_row + t, previous, previous.extent_batch(rows.batch),
          previous.extent_head(head, inputs.shape.query_heads));
    }
  }
}

TileRow HostCall::finish(std::int64_t head, std::int64_t first_query) const {
  const std::int64_t tile_row = (first_query - rows_.query_begin) / tile_height_;
  return builders_[static_cast<std::size_t>((head - rows_.head_begin) * tile_rows_ + tile_row)]
      .finish();
}

HostCall::BuilderRow HostCall::builder_row(std::int64_t row) const {
  const std::int64_t queries = rows_.query_end - rows_.query_begin;
  const std::int64_t rows = (rows_.head_end - rows_.head_begin) * queries;
  if (row < 0 || row >= rows) throw Error(fmt::format("row {} is outside [0, {})", row, rows));
  const std::int64_t head = row / queries;
  const std::int64_t query = row % queries;
  const auto builder = static_cast<std::size_t>(head * tile_rows_ + query / tile_height_);
  // The builders belong to this object; a call changes them through the services alone.
  return {const_cast<TileRowBuilder*>(&builders_[builder]), static_cast<int>(query % tile_height_),
          rows_.head_begin + head, rows_.query_begin + query};
}

void require_counts(std::int64_t keys_scored, std::int64_t bytes_read) {
  if (keys_scored >= 0 && bytes_read >= 0) return;
  throw Error(fmt::format("it counts {} keys scored and {} bytes read; a count is not negative",
                          keys_scored, bytes_read));
}

void HostCall::require_declared(std::uint32_t flags, const char* service) const {
  require_declared_flags(flags, context_.depends_on, service);
}

void HostCall::add_range(std::int64_t row_begin,
                         std::int64_t row_end,
                         std::int64_t key_begin,
                         std::int64_t key_end) {
  const std::int64_t queries = rows_.query_end - rows_.query_begin;
  for (std::int64_t row = row_begin; row < row_end;) {
    // As many rows at once as one builder holds.
    const BuilderRow at = builder_row(row);
    const std::int64_t left = std::min(row_end - row, queries - row % queries);
    const int next = static_cast<int>(std::min<std::int64_t>(at.builder->rows(), at.row + left));
    at.builder->add_range(at.row, next, key_begin, key_end);
    row += next - at.row;
  }
}

void HostCall::add_keys(std::int64_t row,
                        std::span<const std::int32_t> keys,
                        const float* probabilities) {
  const BuilderRow at = builder_row(row);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const float probability = probabilities == nullptr ? 1.0F : probabilities[i];
    require_key_range(keys[i], std::int64_t{keys[i]} + 1, shape().key_len);
    if (!(probability > 0.0F && probability <= 1.0F)) {
      throw Error(
          fmt::format("key {} has probability {}; it must be in (0, 1]", keys[i], probability));
    }
    if (probability < 1.0F && !context_.may_sample) {
      throw Error(
          fmt::format("key {} has probability {}, but the masker's descriptor does not "
                      "declare MASKERADE_TRAIT_SAMPLES",
                      keys[i], probability));
    }
    if (probability < 1.0F && context_.population && !context_.population->holds(keys[i])) {
      throw Error(
          fmt::format("key {} has probability {} and lies outside the keys that its arguments "
                      "state, [{}, {})",
                      keys[i], probability, context_.population->begin, context_.population->end));
    }
    at.builder->add_key(at.row, keys[i], probability);
  }
}

void HostCall::active_bits(std::int64_t row,
                           std::int64_t first_key,
                           std::span<std::uint64_t> words) const {
  require_declared(MASKERADE_DEPENDS_ACTIVE, "active_bits");
  if (first_key % kTileKeys != 0) {
    throw Error(fmt::format("first_key is {}, not a multiple of {}", first_key, kTileKeys));
  }
  const BuilderRow at = builder_row(row);
  const std::int64_t tiles = (shape().key_len + kTileKeys - 1) / kTileKeys;
  std::int64_t tile = first_key / kTileKeys;
  for (std::uint64_t& word : words) {
    word = tile >= 0 && tile < tiles ? at.builder->support_word(at.row, tile) : 0;
    ++tile;
  }
}

void HostCall::load_queries(std::int64_t row_begin, std::int64_t row_end) {
  const std::int64_t dim = shape().head_dim;
  queries_.resize(static_cast<std::size_t>((row_end - row_begin) * dim));
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    const BuilderRow at = builder_row(row);
    context_.inputs->q.load_row(rows_.batch, at.head, at.query,
                                &queries_[static_cast<std::size_t>((row - row_begin) * dim)]);
  }
}

void HostCall::count_keys_read(std::int64_t keys) {
  bytes_read_ +=
      keys * shape().head_dim * static_cast<std::int64_t>(size_of(context_.inputs->k.dtype));
}

void HostCall::count_work(std::int64_t keys_scored, std::int64_t bytes_read) {
  require_counts(keys_scored, bytes_read);
  keys_scored_ = saturating_sum(keys_scored_, keys_scored);
  bytes_read_ = saturating_sum(bytes_read_, bytes_read);
}

// Scores keys [begin, end) of a kv head for the rows in queries_: scores[r * stride + key - begin].
void HostCall::score_keys_of(std::int64_t kv_head,
                             int rows,
                             std::int64_t begin,
                             std::int64_t end,
                             float* scores,
                             std::int64_t stride) {
  const std::int64_t dim = shape().head_dim;
  count_keys_read(end - begin);
  if (rows > kMostStreamedRows) return score_tiles(kv_head, rows, begin, end, scores, stride);
  parts_.for_each((end - begin + kKeysOfPart - 1) / kKeysOfPart, [&](std::int64_t part, int) {
    const std::int64_t first = part * kKeysOfPart;
    const std::int64_t count = std::min(kKeysOfPart, end - begin - first);
    stream_scores(queries_.data(), dim, rows, context_.inputs->k, rows_.batch, kv_head,
                  begin + first, count, scores + first, stride);
  });
}

// As score_keys_of(), by tiles of packed keys: faster for more rows than stream_scores() takes.
void HostCall::score_tiles(std::int64_t kv_head,
                           int rows,
                           std::int64_t begin,
                           std::int64_t end,
                           float* scores,
                           std::int64_t stride) {
  const std::int64_t dim = shape().head_dim;
  float cut[kMostRowsTogether * kPackedKeys];
  for (std::int64_t first = begin / kPackedKeys * kPackedKeys; first < end; first += kPackedKeys) {
    const float* keys = packed(kv_head, first / kPackedKeys);
    if (begin <= first && first + kPackedKeys <= end) {
      score_tile(queries_.data(), dim, rows, keys, dim, scores + (first - begin), stride);
      continue;
    }
    score_tile(queries_.data(), dim, rows, keys, dim, cut, kPackedKeys);
    const std::int64_t from = std::max(begin, first);
    const std::int64_t count = std::min(end, first + kPackedKeys) - from;
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(cut + r * kPackedKeys + (from - first), count,
                  scores + r * stride + (from - begin));
    }
  }
}

// The end of the rows that are scored together with row `first`, so that each key is read once for
// all of them: rows that follow it, before row_end, and at most `most` in all. They are of one tile
// row of one head, or, where the problem has one tile row, of heads that read one kv head. So what
// is read does not depend on how the rows are cut into calls.
std::int64_t HostCall::end_of_group(std::int64_t first,
                                    std::int64_t row_end,
                                    std::int64_t most) const {
  const BuilderRow begin = builder_row(first);
  const std::int64_t kv_head = shape().kv_head_of(begin.head);
  const bool is_one_tile_row = shape().query_len <= tile_height_;
  std::int64_t last = first + 1;
  for (; last < row_end && last - first < most; ++last) {
    const BuilderRow row = builder_row(last);
    if (is_one_tile_row ? shape().kv_head_of(row.head) != kv_head : row.builder != begin.builder) {
      break;
    }
  }
  return last;
}

void HostCall::score_range(std::int64_t row_begin,
                           std::int64_t row_end,
                           std::int64_t begin,
                           std::int64_t end,
                           float* scores,
                           std::int64_t stride) {
  require_declared(kProducts, "score_range");
  require_key_range(begin, end, shape().key_len);
  for (std::int64_t first = row_begin; first < row_end;) {
    const std::int64_t last = end_of_group(first, row_end, kMostRowsTogether);
    load_queries(first, last);
    score_keys_of(shape().kv_head_of(builder_row(first).head), static_cast<int>(last - first),
                  begin, end, scores + (first - row_begin) * stride, stride);
    keys_scored_ += (last - first) * (end - begin);
    first = last;
  }
}

void HostCall::score_keys(std::int64_t row, std::span<const std::int32_t> keys, float* scores) {
  require_declared(kProducts, "score_keys");
  for (const std::int32_t key : keys) {
    require_key_range(key, std::int64_t{key} + 1, shape().key_len);
  }
  const auto count = static_cast<std::int64_t>(keys.size());
  load_queries(row, row + 1);
  stream_scores(queries_.data(), shape().head_dim, 1, context_.inputs->k, rows_.batch,
                shape().kv_head_of(builder_row(row).head), keys, scores, count);
  keys_scored_ += count;
  count_keys_read(count);
}

void HostCall::exclude(const BuilderRow& at,
                       std::int64_t first_tile,
                       std::int64_t first_key,
                       std::int64_t end) {
  const std::int64_t base = first_tile * kTileKeys;
  excluded_.resize(static_cast<std::size_t>((end - base + kTileKeys - 1) / kTileKeys));
  for (std::size_t word = 0; word < excluded_.size(); ++word) {
    excluded_[word] =
        at.builder->support_word(at.row, first_tile + static_cast<std::int64_t>(word));
  }
  excluded_.front() |= sdk::low_bits(first_key - base);
}

// scores[i] is of key 64 * first_tile + i; adds the best `count` that are visible and inactive,
// from first_key on.
void HostCall::add_top(const BuilderRow& at,
                       std::span<const float> scores,
                       std::int64_t first_tile,
                       std::int64_t first_key,
                       std::int64_t count) {
  const std::int64_t base = first_tile * kTileKeys;
  const std::int64_t end =
      std::min(at.builder->visible_end(at.row) - base, static_cast<std::int64_t>(scores.size()));
  if (end <= 0) return;
  exclude(at, first_tile, first_key, base + end);
  const std::span<const std::uint64_t> bits =
      top_k_.select_bits(scores.first(static_cast<std::size_t>(end)), excluded_, count);
  for (std::size_t word = 0; word < bits.size(); ++word) {
    if (bits[word] == 0) continue;
    at.builder->add_word(at.row, first_tile + static_cast<std::int64_t>(word), bits[word]);
  }
}

void HostCall::add_top_scores(std::int64_t row,
                              const float* scores,
                              std::int64_t key_begin,
                              std::int64_t key_end,
                              std::int64_t count) {
  require_declared(MASKERADE_DEPENDS_ACTIVE, "add_top_scores");
  require_key_range(key_begin, key_end, shape().key_len);
  const BuilderRow at = builder_row(row);
  const auto given = static_cast<std::size_t>(key_end - key_begin);
  const std::int64_t skipped = key_begin % kTileKeys;
  if (skipped == 0) {
    return add_top(at, {scores, given}, key_begin / kTileKeys, key_begin, count);
  }
  // The scores must begin where a word of bits begins: at the first key of a tile.
  scores_.assign(static_cast<std::size_t>(skipped) + given, 0.0F);
  std::copy_n(scores, given, scores_.begin() + skipped);
  add_top(at, scores_, key_begin / kTileKeys, key_begin, count);
}

// Rows that read one kv head are scored together, so that each key is read once for all of them.
void HostCall::add_top_products(std::int64_t row_begin,
                                std::int64_t row_end,
                                const std::int64_t* counts) {
  require_declared(kProducts | MASKERADE_DEPENDS_ACTIVE, "add_top_products");
  const std::int64_t stride = (shape().key_len + kPackedKeys - 1) / kPackedKeys * kPackedKeys;
  const std::int64_t most =
      std::clamp<std::int64_t>(kMostScoresTogether / stride, kMostStreamedRows, kMostRowsTogether);
  for (std::int64_t first = row_begin; first < row_end;) {
    const std::int64_t last = end_of_group(first, row_end, most);
    std::int64_t end = 0;
    for (std::int64_t row = first; row < last; ++row) {
      if (counts[row - row_begin] <= 0) continue;
      const BuilderRow at = builder_row(row);
      end = std::max(end, at.builder->visible_end(at.row));
      keys_scored_ += at.builder->visible_end(at.row);
    }
    load_queries(first, last);
    scores_.resize(std::max(scores_.size(), static_cast<std::size_t>((last - first) * stride)));
    score_keys_of(shape().kv_head_of(builder_row(first).head), static_cast<int>(last - first), 0,
                  end, scores_.data(), stride);
    for (std::int64_t row = first; row < last; ++row) {
      if (counts[row - row_begin] <= 0) continue;
      add_top(builder_row(row),
              {&scores_[static_cast<std::size_t>((row - first) * stride)],
               static_cast<std::size_t>(shape().key_len)},
              0, 0, counts[row - row_begin]);
    }
    first = last;
  }
}

// A tile of keys in the layout of score_tile(). The tiles of one kv head are kept, as far as they
// fit, for the next rows that read it.
const float* HostCall::packed(std::int64_t kv_head, std::int64_t tile) {
  const TensorView& keys = context_.inputs->k;
  const std::int64_t tile_floats = keys.dim * kPackedKeys;
  const std::int64_t tiles = (keys.length + kPackedKeys - 1) / kPackedKeys;
  const std::int64_t kept = std::min(tiles, std::max<std::int64_t>(kMostPacked / tile_floats, 1));
  const std::int64_t head = rows_.batch * keys.heads + kv_head;
  if (!packed_) packed_ = aligned_floats(static_cast<std::size_t>(kept * tile_floats));
  if (packed_head_ != head) {
    packed_head_ = head;
    packed_tiles_.assign(static_cast<std::size_t>(kept), -1);
  }
  std::int64_t& held = packed_tiles_[static_cast<std::size_t>(tile % kept)];
  float* target = packed_.get() + tile % kept * tile_floats;
  if (held != tile) {
    const std::int64_t first = tile * kPackedKeys;
    pack_keys(keys, rows_.batch, kv_head, first,
              static_cast<int>(std::min(kPackedKeys, keys.length - first)), target);
    held = tile;
  }
  return target;
}

RandomField HostCall::random(std::int64_t head, std::uint32_t purpose) const {
  return RandomField({.seed = context_.seed,
                      .stream = context_.place,
                      .layer = static_cast<std::uint32_t>(context_.inputs->layer),
                      .batch = static_cast<std::uint32_t>(rows_.batch),
                      .head = static_cast<std::uint32_t>(head),
                      .purpose = purpose});
}

std::size_t HostCall::draw(std::int64_t row,
                           std::uint32_t purpose,
                           std::int64_t key_begin,
                           std::int64_t key_end,
                           std::size_t count,
                           std::int32_t* keys,
                           std::size_t* population) {
  require_declared(MASKERADE_DEPENDS_SEED | MASKERADE_DEPENDS_ACTIVE, "draw");
  require_key_range(key_begin, key_end, shape().key_len);
  const BuilderRow at = builder_row(row);
  const RandomField field = random(at.head, purpose);
  const auto position = static_cast<std::uint64_t>(context_.inputs->visibility.position(at.query));
  const std::int64_t end = std::min(key_end, at.builder->visible_end(at.row));
  if (population != nullptr) *population = 0;
  if (key_begin >= end) return 0;
  const std::int64_t first_tile = key_begin / kTileKeys;
  exclude(at, first_tile, key_begin, end);
  const auto most = static_cast<std::int64_t>(
      std::min<std::size_t>(count, static_cast<std::size_t>(end - key_begin)));
  const auto drawn = draw_.select(field, position, first_tile * kTileKeys, end, excluded_, most);
  if (population != nullptr) *population = draw_.candidates();
  std::copy(drawn.begin(), drawn.end(), keys);
  return drawn.size();
}

}  // namespace maskerade
