// What is asked of every masker that scores keys and takes the best: against the selection by the
// definition, for each way of sharing, and of its index.
#pragma once

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "tests/framework/tensor_files/safetensors_for_test.hpp"
#include "tests/maskers/index_checks.hpp"

namespace maskerade {

// The score of (batch, query head, query, candidate), in float32 as the masker documents it.
using Score = std::function<float(std::int64_t, std::int64_t, std::int64_t, std::int64_t)>;

// How heads share and how much a row takes.
struct SharedBudget {
  std::string share = "query_head";
  std::string reduce = "sum";
  std::int64_t budget = 1;

  NamedArguments given(NamedArguments further) const {
    further.insert(further.end(), {{"budget", std::to_string(budget)}});
    further.insert(further.end(), {{"share", share}, {"reduce", reduce}});
    return further;
  }
  // The query heads that decide together with `head`.
  std::pair<std::int64_t, std::int64_t> heads(const AttentionShape& shape,
                                              std::int64_t head) const {
    if (share == "all") return {0, shape.query_heads};
    if (share == "query_head") return {head, head + 1};
    const std::int64_t first = shape.kv_head_of(head) * shape.group_size();
    return {first, first + shape.group_size()};
  }
  float pooled(const AttentionShape& shape,
               const Score& score,
               std::int64_t b,
               std::int64_t head,
               std::int64_t query,
               std::int64_t candidate) const {
    const auto [first, last] = heads(shape, head);
    float sum = score(b, first, query, candidate);
    for (std::int64_t h = first + 1; h < last; ++h) {
      const float other = score(b, h, query, candidate);
      sum = reduce == "sum" ? sum + other : std::max(sum, other);
    }
    return sum;
  }
};

// The `count` best of scored candidates: the higher score, then the lower number.
inline std::vector<std::int64_t> best(std::vector<std::pair<float, std::int64_t>> candidates,
                                      std::int64_t count) {
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::vector<std::int64_t> numbers;
  for (const auto& [score, number] : candidates) {
    if (static_cast<std::int64_t>(numbers.size()) == count) break;
    numbers.push_back(number);
  }
  return numbers;
}

// The problem's rows as dense weights, each filled by fill(batch, head, query, row).
inline std::vector<float> dense_rows(
    const MaskerProblem& problem,
    const std::function<void(std::int64_t, std::int64_t, std::int64_t, float*)>& fill) {
  const AttentionShape& shape = problem.shape();
  std::vector<float> dense(static_cast<std::size_t>(shape.rows() * shape.key_len));
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    fill(row / shape.query_len / shape.query_heads, row / shape.query_len % shape.query_heads,
         row % shape.query_len, &dense[static_cast<std::size_t>(row * shape.key_len)]);
  }
  return dense;
}

inline std::vector<float> dense_mask(const std::vector<MaskerUse>& maskers,
                                     const MaskerProblem& problem) {
  return to_dense(
      broadcast(run(maskers, problem).mask, {problem.shape().batch, problem.shape().query_heads}));
}

// id, after a sink, selects the best visible inactive keys from first_key on by `score`: for each
// way of sharing, and for budgets of none, some and more than all.
inline void expect_best_keys(const std::string& id,
                             const NamedArguments& given,
                             const MaskerProblem& problem,
                             const Score& score,
                             std::int64_t sink = 2,
                             std::int64_t first_key = 0) {
  const AttentionShape& shape = problem.shape();
  for (const char* share : {"query_head", "kv_head", "all"}) {
    for (const char* reduce : {"sum", "max"}) {
      for (const std::int64_t budget : {std::int64_t{0}, std::int64_t{7}, shape.key_len + 1}) {
        const SharedBudget taking{share, reduce, budget};
        const std::vector<float> expected =
            dense_rows(problem, [&](std::int64_t b, std::int64_t h, std::int64_t i, float* row) {
              std::vector<std::pair<float, std::int64_t>> candidates;
              for (std::int64_t key = 0; key < problem.inputs().visibility.end(i); ++key) {
                if (key < sink) {
                  row[key] = 1;
                } else if (key >= first_key) {
                  candidates.emplace_back(taking.pooled(shape, score, b, h, i, key), key);
                }
              }
              for (const std::int64_t key : best(std::move(candidates), budget)) row[key] = 1;
            });
        EXPECT_EQ(
            dense_mask({use("sink", {{"", std::to_string(sink)}}), use(id, taking.given(given))},
                       problem),
            expected)
            << shape.to_string() << ' ' << share << ' ' << reduce << ' ' << budget;
      }
    }
  }
}

// Groups of 1, 3 and 8 query heads, one query and many, key_len no multiple of 64, one key.
inline std::vector<MaskerProblem> edge_problems(std::int64_t head_dim) {
  std::vector<MaskerProblem> problems;
  problems.emplace_back(AttentionShape{1, 1, 1, 1, 1, head_dim});
  problems.emplace_back(AttentionShape{2, 3, 1, 1, 130, head_dim});
  problems.emplace_back(AttentionShape{1, 2, 2, 66, 67, head_dim},
                        MaskerProblemOptions{.causal = true});
  problems.emplace_back(AttentionShape{1, 8, 1, 3, 101, head_dim},
                        MaskerProblemOptions{.causal = true, .dtype = DType::kBFloat16});
  problems.emplace_back(AttentionShape{1, 6, 2, 5, 64, head_dim},
                        MaskerProblemOptions{.dtype = DType::kFloat16});
  return problems;
}

// `counts: total` takes what is active off the budget; everything active leaves nothing to add.
inline void expect_counts(const std::string& id, NamedArguments given) {
  const MaskerProblem problem({1, 2, 1, 3, 96, 16}, {.causal = true});
  const auto sink = [](const char* tokens) { return use("sink", {{"", tokens}}); };
  given.emplace_back("budget", "20");
  EXPECT_EQ(dense_mask({sink("100%"), use(id, given)}, problem),
            dense_mask({sink("100%")}, problem));
  given.emplace_back("counts", "total");
  const Mask mask = run({sink("8"), use(id, given)}, problem).mask;
  EXPECT_EQ(count(mask).active_entries, 6 * 20);
  EXPECT_EQ(dense_mask({sink("30"), use(id, given)}, problem), dense_mask({sink("30")}, problem));
}

// Whether the error has `text` in it; shows the error when not.
inline testing::AssertionResult says(const std::string& error, const std::string& text) {
  if (error.find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << error << "\" does not say \"" << text << "\"";
}

// A JSON file of named numbers.
inline std::string write_json(const DataFolder& folder, const nlohmann::json& json) {
  const std::filesystem::path file = folder.path() / "weights.json";
  std::ofstream(file) << json;
  return file.string();
}

// A safetensors file of named numbers, float32: it is read faster.
inline std::string write_safetensors(const DataFolder& folder, const nlohmann::json& json) {
  nlohmann::json header;
  std::string data;
  for (const auto& [name, tensor] : json.items()) {
    std::vector<std::size_t> shape;
    for (const nlohmann::json* part = &tensor; part->is_array(); part = &part->front()) {
      shape.push_back(part->size());
    }
    const std::size_t begin = data.size();
    std::vector<float> values;
    const std::function<void(const nlohmann::json&)> add = [&](const nlohmann::json& part) {
      if (part.is_number()) values.push_back(part.get<float>());
      if (part.is_array()) std::for_each(part.begin(), part.end(), add);
    };
    add(tensor);
    data += bytes_of(DType::kFloat32, values);
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  }
  folder.write(header.dump(), data);
  return folder.file().string();
}

}  // namespace maskerade
