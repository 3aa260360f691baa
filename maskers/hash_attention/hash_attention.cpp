#include <cmath>
#include <numbers>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

using Activation = float (*)(float);

Activation activation_of(const std::string& name) {
  if (name == "relu") return [](float x) { return std::max(x, 0.0F); };
  if (name == "silu") return [](float x) { return x / (1.0F + std::exp(-x)); };
  if (name == "tanh") return [](float x) { return std::tanh(x); };
  return [](float x) { return 0.5F * x * (1.0F + std::erf(x / std::numbers::sqrt2_v<float>)); };
}

// The layers of one side, hat_q or hat_k, for every query head.
class Mlps {
 public:
  Mlps(const sdk::Arguments& arguments, const std::string& side)
      : activation_(activation_of(arguments.choice("activation"))) {
    const sdk::Host host = arguments.host();
    const std::string file = arguments.file("file");
    const std::int64_t heads = arguments.shape().query_heads;
    std::string prefix = "layers." + std::to_string(arguments.layer()) + ".";
    if (!host.has_tensor(file, prefix + side + "_w0")) prefix = "";
    std::int64_t inputs = arguments.shape().head_dim;
    for (int number = 0;; ++number) {
      const std::string name = prefix + side + "_w" + std::to_string(number);
      if (number > 0 && !host.has_tensor(file, name)) break;
      const sdk::FileTensor weights = host.tensor(file, name);
      weights.require_shape({heads, inputs, -1}, "[query_heads, inputs, outputs]");
      const std::int64_t outputs = weights.shape()[2];
      const sdk::FileTensor biases =
          host.tensor(file, prefix + side + "_b" + std::to_string(number));
      biases.require_shape({heads, outputs}, "[query_heads, outputs]");
      layers_.push_back({static_cast<std::size_t>(inputs), static_cast<std::size_t>(outputs),
                         transposed(weights), biases.floats()});
      inputs = outputs;
    }
  }
  std::size_t bits() const { return layers_.back().outputs; }

  // Appends the signature of each vector: a bit for each output of the head's MLP, 1 when that is
  // not negative.
  void sign(const sdk::Host& host,
            std::int64_t head,
            std::vector<float> vectors,
            std::vector<std::uint64_t>& signatures) const {
    const auto at = static_cast<std::size_t>(head);
    for (const Layer& layer : layers_) {
      const std::size_t count = vectors.size() / layer.inputs;
      std::vector<float> outputs(count * layer.outputs);
      host.multiply_rows(vectors, &layer.weights[at * layer.outputs * layer.inputs],
                         static_cast<std::int64_t>(layer.inputs), layer.outputs, layer.inputs,
                         outputs.data());
      const float* bias = &layer.biases[at * layer.outputs];
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < layer.outputs; ++j) {
          float& output = outputs[i * layer.outputs + j];
          output += bias[j];
          if (&layer != &layers_.back()) output = activation_(output);
        }
      }
      vectors = std::move(outputs);
    }
    for (std::size_t first = 0; first < vectors.size(); first += bits()) {
      const std::size_t words = signatures.size();
      signatures.resize(words + (bits() + 63) / 64);
      for (std::size_t bit = 0; bit < bits(); ++bit) {
        signatures[words + bit / 64] |= std::uint64_t{vectors[first + bit] >= 0.0F} << (bit % 64);
      }
    }
  }

 private:
  struct Layer {
    std::size_t inputs;
    std::size_t outputs;
    std::vector<float> weights;     // [query_heads][outputs][inputs]
    std::span<const float> biases;  // [query_heads][outputs]
  };
  static std::vector<float> transposed(const sdk::FileTensor& tensor) {
    const std::span<const float> values = tensor.floats();
    const auto inputs = static_cast<std::size_t>(tensor.shape()[1]);
    const auto outputs = static_cast<std::size_t>(tensor.shape()[2]);
    std::vector<float> weights(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t head = i / (inputs * outputs);
      weights[(head * outputs + i % outputs) * inputs + i / outputs % inputs] = values[i];
    }
    return weights;
  }

  Activation activation_;
  std::vector<Layer> layers_;
};

// HashAttention (arXiv 2412.14468): learned MLPs map queries and keys of each query head to bits;
// keys are ranked by how many bits agree.
class HashAttention final : public sdk::ScoreMasker {
 public:
  struct Index {
    std::vector<std::vector<std::uint64_t>> signatures;  // [heads of the group][keys * words]
  };
  static constexpr bool kIndexSpansFuture = false;
  static constexpr bool kAppendIsBuild = true;

  static sdk::Description describe() {
    return {.id = "hash_attention",
            .summary = "the keys whose learned signature agrees most with the query's",
            .reference = "arXiv:2412.14468",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table(
                {sdk::file("file",
                           "MLPs of each query head: hat_q_wN [query_heads, inputs, outputs], "
                           "hat_q_bN [query_heads, outputs], hat_k_wN, hat_k_bN for N = 0, 1, "
                           "...; layers.L. before a name for one layer")
                     .affects_index(),
                 sdk::choice("activation", {"relu", "silu", "gelu", "tanh"}, "between the layers")
                     .with_default("relu")
                     .affects_index()})};
  }

  explicit HashAttention(const sdk::Arguments& arguments)
      : ScoreMasker(arguments),
        group_(arguments.shape().query_heads / arguments.shape().kv_heads),
        of_queries_(arguments, "hat_q"),
        of_keys_(arguments, "hat_k"),
        words_((of_keys_.bits() + 63) / 64) {
    if (of_queries_.bits() != of_keys_.bits()) {
      throw std::runtime_error(arguments.file("file") + ": its hat_q end in " +
                               std::to_string(of_queries_.bits()) + " outputs, its hat_k in " +
                               std::to_string(of_keys_.bits()) + "; they must end in as many");
    }
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    index->signatures.resize(static_cast<std::size_t>(group_));
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    keys.for_each_chunk([&](std::int64_t first, std::int64_t last) {
      const std::vector<float> widened = keys.keys(first, last);
      for (std::int64_t i = 0; i < group_; ++i) {
        of_keys_.sign(keys.host(), keys.kv_head() * group_ + i, widened,
                      index.signatures[static_cast<std::size_t>(i)]);
      }
    });
  }
  void truncate(Index& index, std::int64_t key_end) const {
    for (auto& signatures : index.signatures) {
      signatures.resize(static_cast<std::size_t>(key_end) * words_);
    }
  }
  std::size_t size_bytes(const Index& index) const {
    return index.signatures.size() * index.signatures.front().size() * sizeof(std::uint64_t);
  }

  // Padding bits beyond the signature's length are 0 on both sides and agree for every key.
  void score_rows(const sdk::RowRange& rows, float* scores, std::int64_t stride) const override {
    const sdk::Row first = rows[0];
    std::vector<std::uint64_t> queries;
    of_queries_.sign(first.host(), first.head(), rows.queries(), queries);
    const auto group_head = static_cast<std::size_t>(first.head() - first.kv_head() * group_);
    const std::span<const std::uint64_t> keys = first.index<Index>().signatures[group_head];
    for (std::int64_t i = 0; i < rows.size(); ++i) {
      const auto visible = static_cast<std::size_t>(rows[i].visible_len());
      first.host().match_bits({&queries[static_cast<std::size_t>(i) * words_], words_},
                              keys.first(visible * words_), {scores + i * stride, visible});
    }
    rows.call.services->count_work(
        &rows.call, rows.visible_sum(),
        rows.visible_end() * static_cast<std::int64_t>(words_ * sizeof(std::uint64_t)));
  }

 private:
  std::int64_t group_;  // query heads of a kv head
  Mlps of_queries_;
  Mlps of_keys_;
  std::size_t words_;  // of a signature
};

}  // namespace

MASKERADE_EXPORT_MASKER(HashAttention)
