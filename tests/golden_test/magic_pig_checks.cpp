#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/mask/conversions.hpp"
#include "tests/golden_test/masker_run.hpp"
#include "tests/statistics/statistics.hpp"

namespace maskerade::golden {
namespace {

constexpr std::int64_t kSeeds = 500;

enum class Centred { kNothing, kKeys, kBoth };

// q and k as the published transform sees them. It centres both by the keys' mean of each head, and
// takes the largest norm of the whole tensor; ours centres nothing here and has one norm for each
// head, so that each head gets one more key, as long as that.
struct Centring {
  Centring(const CaseInputs& problem, Centred centred) : shape(problem.inputs.shape) {
    const auto dim = static_cast<std::size_t>(shape.head_dim);
    const auto keys = static_cast<std::size_t>(shape.key_len);
    double largest = 0;
    std::vector<std::vector<double>> means;
    std::vector<float> row(dim);
    for (std::int64_t matrix = 0; matrix < shape.batch * shape.kv_heads; ++matrix) {
      const auto load = [&](std::size_t key) {
        problem.inputs.k.load_row(matrix / shape.kv_heads, matrix % shape.kv_heads,
                                  static_cast<std::int64_t>(key), row.data());
      };
      std::vector<double> mean(dim);
      for (std::size_t key = 0; key < keys && centred != Centred::kNothing; ++key) {
        load(key);
        for (std::size_t d = 0; d < dim; ++d) mean[d] += double{row[d]} / static_cast<double>(keys);
      }
      for (std::size_t key = 0; key < keys; ++key) {
        load(key);
        double square = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          k.push_back(static_cast<float>(double{row[d]} - mean[d]));
          square += std::pow(double{k.back()}, 2);
        }
        largest = std::max(largest, std::sqrt(square));
      }
      k.resize(k.size() + dim);
      means.push_back(std::move(mean));
    }
    for (std::size_t matrix = 0; matrix < means.size(); ++matrix) {
      k[(matrix * (keys + 1) + keys) * dim] = static_cast<float>(largest);
    }
    for (std::int64_t r = 0; r < shape.rows(); ++r) {
      const std::int64_t batch = r / shape.query_len / shape.query_heads;
      const std::int64_t head = r / shape.query_len % shape.query_heads;
      problem.inputs.q.load_row(batch, head, r % shape.query_len, row.data());
      const auto& mean =
          means[static_cast<std::size_t>(batch * shape.kv_heads + shape.kv_head_of(head))];
      for (std::size_t d = 0; d < dim; ++d) {
        q.push_back(
            static_cast<float>(double{row[d]} - (centred == Centred::kBoth ? mean[d] : 0.0)));
      }
    }
    ++shape.key_len;
  }

  AttentionShape shape;
  std::vector<float> q;
  std::vector<float> k;
};

// Over many seeds: the probability that each taken key states is the expected one, and it is taken
// as often.
void check_probabilities(const CaseRun& run,
                         const Centring& centring,
                         int min_matches,
                         const std::string& expected_name,
                         Findings& findings) {
  const AttentionShape& shape = centring.shape;
  const Tensor q = Tensor::from_floats(DType::kFloat32, shape.batch, shape.query_heads,
                                       shape.query_len, shape.head_dim, centring.q.data());
  const Tensor k = Tensor::from_floats(DType::kFloat32, shape.batch, shape.kv_heads, shape.key_len,
                                       shape.head_dim, centring.k.data());
  const AttentionInputs inputs{shape,
                               q.view(),
                               k.view(),
                               k.view(),
                               static_cast<float>(run.golden.scale),
                               Visibility::all(shape.query_len, shape.key_len)};
  const auto type = run.catalog.find(run.golden.maskers.back().name);
  const nlohmann::json& params = run.golden.maskers.back().params;
  const Pipeline pipeline(
      {{type, std::make_shared<const Arguments>(bind_arguments(
                  type->descriptor(), {{"tables", {params.at("lsh_l").dump()}},
                                       {"bits", {params.at("lsh_k").dump()}},
                                       {"transform", {"simple_lsh"}},
                                       {"min_matches", {fmt::format("{}", min_matches)}}}))}});
  const std::vector<float> expected = run.tensors.floats(expected_name);
  std::vector<std::int64_t> counts(expected.size());
  std::vector<float> stated = expected;  // where no seed took the key
  const Threads threads(1);
  for (std::int64_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<float> weights =
        to_dense(pipeline.prepare(inputs, {.seed = static_cast<std::uint64_t>(seed)}, threads)
                     .select(threads)
                     .mask);
    // Each row has one key more than the case.
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const float probability = weights[i + i / static_cast<std::size_t>(run.golden.key_len)];
      if (probability == 0) continue;
      ++counts[i];
      stated[i] = probability;
    }
  }
  findings.compare(expected_name, stated, expected,
                   {run.golden.tolerance("rtol"), run.golden.tolerance("atol")},
                   run.tensors.shape(expected_name));
  const double p_value = statistics::inclusion_p_value(
      counts, kSeeds, std::vector<double>(expected.begin(), expected.end()));
  if (p_value < statistics::kFamilyAlpha) {
    findings.fail(fmt::format("{}: keys are not taken that often: probability {:.2g}",
                              expected_name, p_value));
  }
}

}  // namespace

// With one table there is no form of two matches, whatever is stored for it.
void check_magic_pig(const CaseRun& run, Findings& findings) {
  const CaseInputs problem(run);
  const nlohmann::json& params = run.golden.maskers.back().params;
  const bool center = params.value("center", false);
  const bool has_two_matches = params.at("lsh_l").get<std::int64_t>() > 1;
  const auto check = [&](Centred centred, const char* one, const char* two) {
    const Centring centring(problem, centred);
    if (run.tensors.has(one)) check_probabilities(run, centring, 1, one, findings);
    if (has_two_matches && run.tensors.has(two)) {
      check_probabilities(run, centring, 2, two, findings);
    }
  };
  check(center ? Centred::kBoth : Centred::kNothing, "expected_exact", "exact_two");
  check(center ? Centred::kKeys : Centred::kNothing, "exact_keys_only", "exact_two_keys_only");
}

}  // namespace maskerade::golden
