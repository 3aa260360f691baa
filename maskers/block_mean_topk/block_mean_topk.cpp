#include <memory>

#include "framework/sdk/block_scores.hpp"
#include "maskers/block_mean_topk/block_mean_topk_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The blocks of keys with the largest product of pooled query and pooled key, as the gate of MoBA
// ranks them. Keys are pooled once, in an index; the block at the causal edge is pooled whole.
// Heads that share pool these products.
class BlockMeanTopK final : public sdk::BlockScoreMasker {
 public:
  struct Index {
    std::vector<float> pooled;  // [blocks, head_dim]
    std::vector<double> last;   // [head_dim] of the last block: the sum, or the largest
  };
  static constexpr bool kIndexSpansFuture = true;
  static constexpr bool kAppendIsBuild = true;

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
    std::vector<double> taken(dim_);
    for (std::int64_t query = row.query_begin(); query < row.query_end(); ++query) {
      take(row.row(head, query).query_vector(), query == row.query_begin(), taken);
    }
    std::vector<float> pooled(dim_);
    finish(taken, row.query_end() - row.query_begin(), pooled);
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
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    add_keys(index, span, span.key_begin);
  }
  void truncate(Index& index, const maskerade_key_span& span) const {
    const std::int64_t blocks = span.key_end / block();
    index.pooled.resize(static_cast<std::size_t>(blocks) * dim_);
    add_keys(index, span, blocks * block());
  }
  std::size_t size_bytes(const Index& index) const {
    return index.pooled.size() * sizeof(float) + index.last.size() * sizeof(double);
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t keys = budget().of(call.shape.key_len, call.shape.key_len);
    const std::int64_t tiles = 64 % block() == 0 ? 1 : (block() + 62) / 64 + 1;
    return sdk::bounds_of_pieces(call, sdk::most_pieces_of_budget(keys, block(), 0), block(),
                                 tiles);
  }
  std::span<const float> index_data(const Index& index) const { return index.pooled; }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::block_mean_topk::select_on_device(
        call, {budget().value(), is_total(), block(), mean_, sharing().together(call.shape),
               sharing().sum});
  }
#endif

 private:
  // Adds one more vector to a pool `taken` (its sum or its maximum), in float64.
  void take(std::span<const float> vector, bool is_first, std::span<double> taken) const {
    for (std::size_t d = 0; d < dim_; ++d) {
      const double value = vector[d];
      taken[d] = is_first ? value : mean_ ? taken[d] + value : std::max(taken[d], value);
    }
  }
  void finish(std::span<const double> taken, std::int64_t count, std::span<float> pooled) const {
    const double divisor = mean_ ? static_cast<double>(count) : 1.0;
    for (std::size_t d = 0; d < dim_; ++d) pooled[d] = static_cast<float>(taken[d] / divisor);
  }
  // Pools the keys of a span from `first` on; those before it are pooled already.
  void add_keys(Index& index, const maskerade_key_span& span, std::int64_t first) const {
    const sdk::KeySpan keys(span);
    index.last.resize(dim_);
    for (std::int64_t begin = first; begin < keys.end();) {
      const std::int64_t number = begin / block();
      const std::int64_t end = std::min((number + 1) * block(), keys.end());
      const std::vector<float> widened = keys.keys(begin, end);
      for (std::int64_t key = begin; key < end; ++key) {
        take(std::span(widened).subspan(static_cast<std::size_t>(key - begin) * dim_, dim_),
             key == number * block(), index.last);
      }
      index.pooled.resize(static_cast<std::size_t>(number + 1) * dim_);
      finish(index.last, end - number * block(), std::span(index.pooled).last(dim_));
      begin = end;
    }
  }

  bool mean_;
  std::size_t dim_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(BlockMeanTopK)
