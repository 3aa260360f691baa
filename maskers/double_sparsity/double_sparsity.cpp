#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/sdk/masker.hpp"
#include "framework/sdk/quantise.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Double Sparsity (arXiv 2408.07092): a key's score is q.k over the few channels that calibration
// found to matter most for the query head. The index holds these channels of every key, quantised
// or not (the labels), for each query head of the kv head's group.
class DoubleSparsity final : public sdk::ScoreMasker {
 public:
  struct Index {
    std::vector<std::vector<float>> labels;  // [heads of the group][keys * channels]
  };
  static constexpr bool kIndexSpansFuture = false;
  static constexpr bool kAppendIsBuild = true;

  static sdk::Description describe() {
    return {.id = "double_sparsity",
            .summary = "the keys with the largest q.k over a few calibrated channels",
            .reference = "arXiv:2408.07092",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table(
                {sdk::file("file",
                           "channels of each query head, the most important first: a tensor "
                           "model.layers.L.self_attn.NAME, or channel_order for every layer, "
                           "[query_heads, head_dim]")
                     .affects_index(),
                 sdk::count("group_factor", "head_dim per channel kept")
                     .at_least(1)
                     .with_default("16")
                     .affects_index(),
                 sdk::count("label_bits", "bits of a label's channel; 16: not quantised")
                     .at_least(1)
                     .at_most(16)
                     .with_default("16")
                     .affects_index(),
                 sdk::choice("channels", {"qk_proj", "q_proj", "k_proj"},
                             "NAME: by which products the channels were ordered")
                     .with_default("qk_proj")
                     .affects_index()})};
  }

  explicit DoubleSparsity(const sdk::Arguments& arguments)
      : ScoreMasker(arguments),
        group_(arguments.shape().query_heads / arguments.shape().kv_heads),
        label_bits_(static_cast<int>(arguments.count("label_bits"))) {
    const std::int64_t head_dim = arguments.shape().head_dim;
    const std::int64_t group_factor = arguments.count("group_factor");
    if (group_factor > head_dim) {
      throw std::runtime_error("group_factor is " + std::to_string(group_factor) +
                               ", which leaves no channel of a head_dim of " +
                               std::to_string(head_dim) + "; it must be at most that");
    }
    kept_ = static_cast<std::size_t>(head_dim / group_factor);
    const std::string published = "model.layers." + std::to_string(arguments.layer()) +
                                  ".self_attn." + arguments.choice("channels");
    const std::string file = arguments.file("file");
    const sdk::Host host = arguments.host();
    const sdk::FileTensor tensor = host.tensor(
        file, host.has_tensor(file, "channel_order") ? std::string("channel_order") : published);
    tensor.require_shape({arguments.shape().query_heads, head_dim}, "[query_heads, head_dim]");
    const std::span<const std::int64_t> orders = tensor.integers();
    for (std::int64_t head = 0; head < arguments.shape().query_heads; ++head) {
      const auto order = orders.subspan(static_cast<std::size_t>(head * head_dim),
                                        static_cast<std::size_t>(head_dim));
      std::vector<std::int64_t> sorted(order.begin(), order.end());
      std::sort(sorted.begin(), sorted.end());
      for (std::int64_t d = 0; d < head_dim; ++d) {
        if (sorted[static_cast<std::size_t>(d)] == d) continue;
        throw std::runtime_error(tensor.what() + ": row " + std::to_string(head) +
                                 " is no order of the channels 0 ... " +
                                 std::to_string(head_dim - 1) + ", each once");
      }
      channels_.insert(channels_.end(), order.begin(),
                       order.begin() + static_cast<std::ptrdiff_t>(kept_));
    }
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    index->labels.resize(static_cast<std::size_t>(group_));
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    keys.for_each_chunk([&](std::int64_t first, std::int64_t last) {
      const std::vector<float> widened = keys.keys(first, last);
      for (std::int64_t i = 0; i < group_; ++i) {
        add_labels(keys.kv_head() * group_ + i, widened, keys.dim(),
                   index.labels[static_cast<std::size_t>(i)]);
      }
    });
  }
  void truncate(Index& index, std::int64_t key_end) const {
    for (std::vector<float>& labels : index.labels) {
      labels.resize(static_cast<std::size_t>(key_end) * kept_);
    }
  }
  std::size_t size_bytes(const Index& index) const {
    return index.labels.size() * index.labels.front().size() * sizeof(float);
  }

  void score_rows(const sdk::RowRange& rows, float* scores, std::int64_t stride) const override {
    const sdk::Row row = rows[0];
    std::vector<float> queries;
    add_labels(row.head(), rows.queries(), static_cast<std::size_t>(rows.call.shape.head_dim),
               queries);
    const auto& labels =
        row.index<Index>().labels[static_cast<std::size_t>(row.head() - row.kv_head() * group_)];
    const std::int64_t end = rows.visible_end();
    row.host().multiply_rows(queries, labels.data(), static_cast<std::int64_t>(kept_),
                             static_cast<std::size_t>(end), kept_, scores, stride);
    const float root = std::sqrt(static_cast<float>(kept_));
    for (std::int64_t i = 0; i < rows.size(); ++i) {
      for (std::int64_t j = 0; j < end; ++j) scores[i * stride + j] /= root;
    }
    rows.call.services->count_work(
        &rows.call, rows.visible_sum(),
        end * static_cast<std::int64_t>(kept_) * static_cast<std::int64_t>(sizeof(float)));
  }

 private:
  // Appends, for each vector, the channels that a query head keeps, quantised.
  void add_labels(std::int64_t head,
                  std::span<const float> vectors,
                  std::size_t dim,
                  std::vector<float>& labels) const {
    const std::int64_t* channels = &channels_[static_cast<std::size_t>(head) * kept_];
    for (std::size_t first = 0; first < vectors.size(); first += dim) {
      for (std::size_t c = 0; c < kept_; ++c) {
        labels.push_back(vectors[first + static_cast<std::size_t>(channels[c])]);
      }
      if (label_bits_ < 16) {
        sdk::quantise(std::span(labels).last(kept_), label_bits_);
      }
    }
  }

  std::int64_t group_;  // query heads of a kv head
  int label_bits_;
  std::size_t kept_;                    // channels
  std::vector<std::int64_t> channels_;  // [query_heads][kept]
};

}  // namespace

MASKERADE_EXPORT_MASKER(DoubleSparsity)
