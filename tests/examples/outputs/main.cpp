// A program that only wants outputs: attention over the first and the last keys of each query.
#include <cstdio>

#include "attention/backend_table.hpp"
#include "attention/reference/row_judgement.hpp"
#include "attention/research_attention.hpp"
#include "framework/base/philox.hpp"
using namespace maskerade;

constexpr AttentionShape kShape{
    .query_heads = 4, .kv_heads = 2, .query_len = 256, .key_len = 256, .head_dim = 32};

Tensor random_tensor(std::int64_t heads, std::uint32_t stream) {
  const RandomField random({.seed = 1, .stream = stream});
  std::vector<float> values(static_cast<std::size_t>(heads * kShape.key_len * kShape.head_dim));
  for (std::uint32_t i = 0; i < values.size(); ++i) values[i] = random.uniform(0, i) - 0.5;
  return Tensor::from_floats(DType::kFloat32, 1, heads, 256, kShape.head_dim, &values[0]);
}

int main() {
  Catalog catalog;
  const auto use = [&](const std::string& id, const char* value) -> MaskerUse {
    const MaskerType& type = catalog.load(MASKERADE_PLUGINS "/" + id + ".so");
    auto bound = bind_arguments(type.descriptor(), {{.name = "", .values = {value}}});
    return {catalog.find(id), std::make_shared<const Arguments>(std::move(bound))};
  };
  const ResearchAttention attention(Pipeline({use("sink", "4"), use("local", "10%")}));
  const Tensor q = random_tensor(kShape.query_heads, 0);
  const Tensor k = random_tensor(kShape.kv_heads, 1), v = random_tensor(kShape.kv_heads, 2);
  const AttentionInputs inputs{kShape,   q.view(), k.view(),
                               v.view(), 0.25F,    Visibility::causal(256, 256)};
  const auto backend = open_backend("cpu", inputs);
  const AttentionOutput output = attention.run(*backend);
  const auto mask = attention.prepare(*backend, {})->select();
  const OracleRow oracle = oracle_row(inputs, mask->on_host(), 0, 0, 255);  // head 0, last query
  const float* out = &output.out[255 * kShape.head_dim];
  const double error = out_error(oracle, out);
  std::printf("out %.4f ... lse %.4f error %.1e\n", out[0], output.lse[255], error);
}
