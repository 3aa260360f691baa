#include <numeric>

#include "framework/sdk/masker.hpp"
#include "framework/sdk/row_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

// XAttention: the fewest blocks whose share of an estimated attention reaches a threshold. `stride`
// queries, in reverse order, are one long vector, and `stride` keys another: their product sums the
// logits on an antidiagonal of a stride x stride square, and stands for all of the square. Heads
// that share pool the masses of blocks.
class XAttention final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    sdk::Description description{
        .id = "xattention",
        .summary =
            "prefill: the fewest blocks that hold a share of the mass of sampled antidiagonals",
        .reference = "arXiv:2503.16428",
        .depends_on = sdk::kShape | sdk::kHead | sdk::kQuery | sdk::kKey,
        .parameters = {
            sdk::share("threshold", "share of the estimated mass to reach").with_default("0.9"),
            sdk::file("thresholds",
                      "its tensor \"threshold\", [query_heads] or [layers, query_heads], takes the "
                      "place of threshold")
                .with_default(""),
            sdk::count("block", "tokens of a block, a multiple of stride")
                .with_default("128")
                .at_least(1)
                .at_most(1 << 20),
            sdk::count("stride", "tokens from one sampled antidiagonal to the next")
                .with_default("8")
                .at_least(1)
                .at_most(1 << 10)}};
    for (sdk::Parameter& parameter : sdk::Sharing::parameters()) {
      description.parameters.push_back(std::move(parameter));
    }
    return description;
  }

  explicit XAttention(const sdk::Arguments& arguments)
      : thresholds_(thresholds(arguments)),
        block_(arguments.count("block")),
        unit_(std::max(kUnitTokens / block_, std::int64_t{1}) * block_),
        stride_(arguments.count("stride")),
        sharing_(sdk::Sharing::from(arguments)),
        heads_of_call_(sharing_.heads_of_call(arguments.shape())) {
    if (block_ % stride_ != 0) {
      throw std::runtime_error("block is " + std::to_string(block_) +
                               "; it must be a multiple of stride, " + std::to_string(stride_));
    }
  }

  maskerade_grain grain() const override { return {unit_, heads_of_call_}; }

  void select(const maskerade_call& call) const override {
    const std::vector<sdk::BlockRow> rows = sdk::block_rows(call, block_);
    const std::int64_t blocks = unit_ / block_;  // of a unit
    for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
      const std::int64_t unit = maskerade_block_of(rows[begin].number(), blocks);
      while (end < rows.size() && maskerade_block_of(rows[end].number(), blocks) == unit) ++end;
      select_unit(call, std::span(rows).subspan(begin, end - begin));
    }
  }

 private:
  using Masses = std::vector<std::vector<double>>;  // [block row][key block], of one head

  // Selects for the block rows of one unit. Keys are read once for all of them.
  void select_unit(const maskerade_call& call, std::span<const sdk::BlockRow> rows) const {
    Masses none;
    for (const sdk::BlockRow& row : rows) none.emplace_back(row.visible_blocks());
    std::vector<Masses> masses(static_cast<std::size_t>(call.head_end - call.head_begin), none);
    // At decode the keys are read once for all heads of a kv group. Rationale: whether a call has
    // one query alone depends on the chunks where there are more queries.
    const std::int64_t group = call.shape.query_heads / call.shape.kv_heads;
    const std::int64_t together =
        call.shape.query_len == 1 ? std::min(call.head_end - call.head_begin, group) : 1;
    for (std::int64_t head = call.head_begin; head < call.head_end; head += together) {
      estimate(call, {head, head + together}, rows,
               std::span(masses).subspan(static_cast<std::size_t>(head - call.head_begin)));
    }
    sharing_.for_each_set(
        call.head_begin, call.head_end, [&](std::int64_t begin, std::int64_t end) {
          Masses& pooled = masses[static_cast<std::size_t>(begin - call.head_begin)];
          for (std::size_t r = 0; r < rows.size(); ++r) {
            for (std::int64_t head = begin + 1; head < end; ++head) {
              sharing_.pool<double>(masses[static_cast<std::size_t>(head - call.head_begin)][r],
                                    pooled[r]);
            }
            for (std::int64_t head = begin; head < end; ++head)
              add_blocks(rows[r], head, pooled[r]);
          }
        });
  }

  static std::vector<double> thresholds(const sdk::Arguments& arguments) {
    const std::int64_t heads = arguments.shape().query_heads;
    const std::string file = arguments.file("thresholds");
    if (file.empty()) {
      return std::vector<double>(static_cast<std::size_t>(heads), arguments.share("threshold"));
    }
    const sdk::FileTensor tensor = arguments.host().tensor(file, "threshold");
    std::span<const float> values = tensor.floats();
    if (tensor.shape().size() == 2) {
      tensor.require_shape({-1, heads}, "[layers, query_heads]");
      if (arguments.layer() >= tensor.shape()[0]) {
        throw std::runtime_error(tensor.what() + ": it has " + std::to_string(tensor.shape()[0]) +
                                 " layers, and none for layer " +
                                 std::to_string(arguments.layer()));
      }
      values = values.subspan(static_cast<std::size_t>(arguments.layer() * heads));
    } else {
      tensor.require_shape({heads}, "[query_heads]");
    }
    values = values.first(static_cast<std::size_t>(heads));
    for (const float value : values) {
      if (!(value >= 0 && value <= 1)) {
        throw std::runtime_error(tensor.what() + ": it holds " + std::to_string(value) +
                                 "; thresholds must be in [0, 1]");
      }
    }
    return {values.begin(), values.end()};
  }

  // The queries of a block row whose positions lie in one stride.
  struct Group {
    std::int64_t number;  // position / stride, rounded down
    std::size_t row;
    std::size_t head;  // number among the heads that are estimated together
    std::int64_t queries;
  };

  // Adds the estimated mass of every block to `masses`, [heads]. The heads read one kv head;
  // several come together only at decode.
  void estimate(const maskerade_call& call,
                sdk::Span heads,
                std::span<const sdk::BlockRow> rows,
                std::span<Masses> masses) const {
    const sdk::Host host(call.host);
    const auto dim = static_cast<std::size_t>(call.shape.head_dim);
    const std::size_t width = dim * static_cast<std::size_t>(stride_);
    std::vector<Group> groups;
    std::vector<float> vectors;  // [groups, stride, head_dim], 0 where there is no query
    for (std::size_t h = 0; h < static_cast<std::size_t>(heads.end - heads.begin); ++h) {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::int64_t query = rows[r].query_begin(); query < rows[r].query_end(); ++query) {
          const std::int64_t number = maskerade_block_of(call.positions[query], stride_);
          if (groups.empty() || groups.back().number != number || groups.back().row != r ||
              groups.back().head != h) {
            groups.push_back({number, r, h, 0});
            vectors.resize(groups.size() * width);
          }
          ++groups.back().queries;
          const std::int64_t place = stride_ - 1 - (call.positions[query] - number * stride_);
          host.to_float(
              call.q.dtype, sdk::row_of(call.q, heads.begin + static_cast<std::int64_t>(h), query),
              dim, &vectors[(groups.size() - 1) * width + static_cast<std::size_t>(place) * dim]);
        }
      }
    }
    const std::int64_t columns = (call.shape.key_len + stride_ - 1) / stride_;
    const auto seen = [&](const Group& group) {
      return call.causal != 0 ? std::clamp<std::int64_t>(group.number + 1, 0, columns) : columns;
    };
    const std::vector<float> logits = multiply(call, heads.begin, groups, vectors, columns, seen);
    std::vector<double> weights;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto count = static_cast<std::size_t>(seen(groups[g]));
      const std::span<const float> row(logits.data() + g * static_cast<std::size_t>(columns),
                                       count);
      weights.resize(count);
      host.exponentials(row, double{call.scale} / static_cast<double>(stride_),
                        *std::max_element(row.begin(), row.end()), weights);
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      std::vector<double>& mass = masses[groups[g].head][groups[g].row];
      for (std::size_t j = 0; j < count; ++j) {
        mass[static_cast<std::size_t>(static_cast<std::int64_t>(j) * stride_ / block_)] +=
            weights[j] / sum;
      }
      call.services->count_work(&call, groups[g].queries * seen(groups[g]), 0);
    }
  }

  // The summed logits [groups, columns], not scaled, of the columns that each group sees.
  std::vector<float> multiply(const maskerade_call& call,
                              std::int64_t head,
                              const std::vector<Group>& groups,
                              std::span<const float> vectors,
                              std::int64_t columns,
                              const auto& seen) const {
    constexpr std::int64_t kTogether = 64;
    const sdk::Host host(call.host);
    const auto dim = static_cast<std::size_t>(call.shape.head_dim);
    const std::size_t width = dim * static_cast<std::size_t>(stride_);
    const std::int64_t kv_head = head * call.shape.kv_heads / call.shape.query_heads;
    std::vector<float> logits(groups.size() * static_cast<std::size_t>(columns));
    std::vector<float> keys(static_cast<std::size_t>(kTogether) * width);
    std::vector<float> products(groups.size() * static_cast<std::size_t>(kTogether));
    std::size_t skipped = 0;  // groups before this one see none of the columns from `first` on
    for (std::int64_t first = 0; first < columns; first += kTogether) {
      while (skipped < groups.size() && seen(groups[skipped]) <= first) ++skipped;
      if (skipped == groups.size()) break;
      const auto count = static_cast<std::size_t>(std::min(kTogether, columns - first));
      const std::int64_t key_end = std::min(call.shape.key_len, (first + kTogether) * stride_);
      std::fill(keys.begin(), keys.end(), 0.0F);
      for (std::int64_t key = first * stride_; key < key_end; ++key) {
        host.to_float(call.k.dtype, sdk::row_of(call.k, kv_head, key), dim,
                      &keys[static_cast<std::size_t>(key - first * stride_) * dim]);
      }
      call.services->count_work(
          &call, 0,
          (key_end - first * stride_) * call.shape.head_dim * sdk::element_bytes(call.k.dtype));
      host.multiply_rows(vectors.subspan(skipped * width), keys.data(),
                         static_cast<std::int64_t>(width), count, width, products.data());
      for (std::size_t g = skipped; g < groups.size(); ++g) {
        std::copy_n(
            &products[(g - skipped) * count], count,
            &logits[g * static_cast<std::size_t>(columns) + static_cast<std::size_t>(first)]);
      }
    }
    return logits;
  }

  // Adds the fewest blocks that hold the head's share of the mass. Where attention is causal, the
  // first block and the diagonal one come before all others.
  void add_blocks(const sdk::BlockRow& row,
                  std::int64_t head,
                  const std::vector<double>& masses) const {
    const double threshold = thresholds_[static_cast<std::size_t>(head)];
    const double enough = threshold * std::accumulate(masses.begin(), masses.end(), 0.0);
    std::vector<std::size_t> order(masses.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const bool causal = row.call().causal != 0;
    const auto is_forced = [&](std::size_t block) {
      return causal && (block == 0 || static_cast<std::int64_t>(block) == row.number());
    };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (is_forced(a) != is_forced(b)) return is_forced(a);
      return masses[a] > masses[b];
    });
    double taken = 0;
    for (const std::size_t block : order) {
      if (!is_forced(block) && threshold < 1 && taken >= enough) break;
      taken += masses[block];
      row.add_block(head, static_cast<std::int64_t>(block));
    }
  }

  std::vector<double> thresholds_;  // [query_heads]
  // Block rows whose keys are read once for all of them span this many tokens, in whole blocks.
  static constexpr std::int64_t kUnitTokens = 1024;

  std::int64_t block_;
  std::int64_t unit_;  // tokens
  std::int64_t stride_;
  sdk::Sharing sharing_;
  std::uint32_t heads_of_call_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(XAttention)
