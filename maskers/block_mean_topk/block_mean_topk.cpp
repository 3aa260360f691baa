#include <memory>

#include "framework/sdk/block_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Blocks by pooled query . pooled key, the gate of MoBA. Keys are pooled once, in an index; the
// block at the causal edge is pooled whole. Sharing heads pool these products.
class BlockMeanTopK final : public sdk::BlockScoreMasker {
 public:
  struct Index {
    std::vector<float> pooled;  // [blocks, head_dim]
    // Keys from the block where the built ones end on, to pool that block anew as keys come and go.
    std::int64_t tail_begin = 0;
    std::vector<float> tail;  // [keys, head_dim]
  };
  static constexpr bool kIndexSpansFuture = true;

  static sdk::Description describe() {
    return {.id = "block_mean_topk",
            .summary = "the blocks with the largest product of pooled queries and pooled keys",
            .reference = "arXiv:2502.13189",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = parameters({sdk::choice("pool", {"mean", "max"},
                                                  "how the queries and the keys of a block become "
                                                  "one, dimension by dimension")
                                          .with_default("mean")
                                          .affects_index()})};
  }
  explicit BlockMeanTopK(const sdk::Arguments& arguments)
      : BlockScoreMasker(arguments),
        mean_(arguments.choice("pool") == "mean"),
        dim_(static_cast<std::size_t>(arguments.shape().head_dim)) {}

  void score_blocks(const sdk::BlockRow& row,
                    std::int64_t head,
                    std::span<float> scores) const override {
    std::vector<float> queries;
    for (std::int64_t query = row.query_begin(); query < row.query_end(); ++query) {
      const std::span<const float> vector = row.row(head, query).query_vector();
      queries.insert(queries.end(), vector.begin(), vector.end());
    }
    std::vector<float> pooled(dim_);
    pool(queries, pooled);
    const sdk::Row first = row.row(head, row.query_begin());
    const Index& index = first.index<Index>();
    first.host().multiply_rows(pooled, index.pooled.data(), static_cast<std::int64_t>(dim_),
                               scores.size(), dim_, scores.data());
    const auto blocks = static_cast<std::int64_t>(scores.size());
    row.call().services->count_work(&row.call(), blocks,
                                    blocks * static_cast<std::int64_t>(dim_ * sizeof(float)));
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    for (std::int64_t begin = span.key_begin; begin < span.key_end; begin += block()) {
      index->tail_begin = begin;
      index->tail.clear();
      add(*index, span, begin, std::min(begin + block(), span.key_end));
    }
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    add(index, span, span.key_begin, span.key_end);
  }
  void truncate(Index& index, std::int64_t key_end) const {
    const std::int64_t blocks = (key_end + block() - 1) / block();
    index.pooled.resize(static_cast<std::size_t>(blocks) * dim_);
    if (key_end <= index.tail_begin) {
      if (key_end % block() != 0) {
        throw std::runtime_error("its index keeps the keys from " +
                                 std::to_string(index.tail_begin) + " on; it can be cut to " +
                                 std::to_string(key_end) + " keys only at a block's border");
      }
      index.tail_begin = key_end;
    }
    index.tail.resize(static_cast<std::size_t>(key_end - index.tail_begin) * dim_);
    if (key_end > index.tail_begin) pool_blocks(index, key_end - 1, key_end);
  }
  std::size_t size_bytes(const Index& index) const {
    return (index.pooled.size() + index.tail.size()) * sizeof(float);
  }

 private:
  // Vectors [count, head_dim] as one, summed in float64 in their order.
  void pool(std::span<const float> vectors, std::span<float> pooled) const {
    std::vector<double> sums(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(dim_));
    for (std::size_t first = dim_; first < vectors.size(); first += dim_) {
      for (std::size_t d = 0; d < dim_; ++d) {
        const double value = vectors[first + d];
        sums[d] = mean_ ? sums[d] + value : std::max(sums[d], value);
      }
    }
    const double count = mean_ ? static_cast<double>(vectors.size() / dim_) : 1.0;
    for (std::size_t d = 0; d < dim_; ++d) pooled[d] = static_cast<float>(sums[d] / count);
  }
  // Pools the blocks of keys [key_begin, key_end), which the tail holds with what follows.
  void pool_blocks(Index& index, std::int64_t key_begin, std::int64_t key_end) const {
    const auto tail_keys = static_cast<std::int64_t>(index.tail.size() / dim_);
    index.pooled.resize(static_cast<std::size_t>((key_end + block() - 1) / block()) * dim_);
    for (std::int64_t b = key_begin / block(); b * block() < key_end; ++b) {
      const std::int64_t begin = b * block() - index.tail_begin;
      const std::int64_t count = std::min(block(), tail_keys - begin);
      pool(std::span<const float>(index.tail)
               .subspan(static_cast<std::size_t>(begin) * dim_,
                        static_cast<std::size_t>(count) * dim_),
           std::span<float>(index.pooled).subspan(static_cast<std::size_t>(b) * dim_, dim_));
    }
  }
  // Adds keys [begin, end) of a span.
  void add(Index& index,
           const maskerade_key_span& span,
           std::int64_t begin,
           std::int64_t end) const {
    const std::size_t held = index.tail.size();
    index.tail.resize(held + static_cast<std::size_t>(end - begin) * dim_);
    for (std::int64_t key = begin; key < end; ++key) {
      sdk::Host(span.host).to_float(
          span.dtype, sdk::key_of(span, key), dim_,
          index.tail.data() + held + static_cast<std::size_t>(key - begin) * dim_);
    }
    if (end > begin) pool_blocks(index, begin, end);
  }

  bool mean_;
  std::size_t dim_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(BlockMeanTopK)
