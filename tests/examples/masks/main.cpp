// A program that only wants masks: installed maskers, composed, on random q and k.
#include <cstdio>

#include "framework/base/philox.hpp"
#include "framework/pipeline/pipeline.hpp"
using namespace maskerade;

constexpr AttentionShape kShape{
    .query_heads = 4, .kv_heads = 2, .query_len = 256, .key_len = 256, .head_dim = 32};

Tensor random_tensor(std::int64_t heads, std::uint32_t stream) {
  const RandomField random({.seed = 1, .stream = stream});
  std::vector<float> values(static_cast<std::size_t>(heads * kShape.key_len * kShape.head_dim));
  for (std::uint32_t i = 0; i < values.size(); ++i) values[i] = random.uniform(0, i) - 0.5;
  return Tensor::from_floats(DType::kFloat32, 1, heads, kShape.key_len, kShape.head_dim,
                             &values[0]);
}

int main() {
  Catalog catalog;
  const auto use = [&](const std::string& id, const char* value) -> MaskerUse {
    const MaskerType& type = catalog.load(MASKERADE_PLUGINS "/" + id + ".so");
    auto bound = bind_arguments(type.descriptor(), {{.name = "", .values = {value}}});
    return {catalog.find(id), std::make_shared<const Arguments>(std::move(bound))};
  };
  const Pipeline pipeline({use("sink", "4"), use("local", "32"), use("oracle_topk", "5%")});
  const Tensor q = random_tensor(kShape.query_heads, 0);
  const Tensor k = random_tensor(kShape.kv_heads, 1);
  const AttentionInputs inputs{kShape,   q.view(), k.view(),
                               k.view(), 0.25F,    Visibility::causal(256, 256)};
  const Threads threads(2);
  const Selection selection = pipeline.prepare(inputs, {}, threads).select(threads);
  std::printf("density %.6f\n", density(selection.mask));
}
