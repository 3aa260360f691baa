#include <map>

#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kDim = 8;

// Random MLPs of 8 heads: 8 inputs, `hidden` ..., `bits` outputs.
class HashAttention : public testing::Test {
 protected:
  using Matrix = std::vector<std::vector<float>>;

  void make(const std::vector<std::int64_t>& outputs, std::int64_t heads = 8) {
    std::mt19937 engine(7);
    std::normal_distribution<float> normal;
    weights_.clear();
    biases_.clear();
    for (const char* side : {"hat_q", "hat_k"}) {
      std::int64_t inputs = kDim;
      for (std::size_t number = 0; number < outputs.size(); ++number) {
        std::vector<Matrix> weights(static_cast<std::size_t>(heads),
                                    Matrix(static_cast<std::size_t>(inputs)));
        Matrix biases(static_cast<std::size_t>(heads));
        for (Matrix& matrix : weights) {
          for (auto& row : matrix) {
            for (std::int64_t j = 0; j < outputs[number]; ++j) row.push_back(normal(engine));
          }
        }
        for (auto& row : biases) {
          for (std::int64_t j = 0; j < outputs[number]; ++j) row.push_back(normal(engine));
        }
        weights_[side + ("_w" + std::to_string(number))] = weights;
        biases_[side + ("_b" + std::to_string(number))] = biases;
        inputs = outputs[number];
      }
    }
  }
  nlohmann::json json(std::int64_t heads) const {
    nlohmann::json json;
    for (const auto& [name, of_heads] : weights_) {
      json[name] = std::vector<Matrix>(of_heads.begin(), of_heads.begin() + heads);
    }
    for (const auto& [name, of_heads] : biases_) {
      json[name] = Matrix(of_heads.begin(), of_heads.begin() + heads);
    }
    return json;
  }
  NamedArguments given(const std::string& activation, std::int64_t heads) const {
    return {{"file", write_safetensors(folder_, json(heads))}, {"activation", activation}};
  }
  std::string error(const nlohmann::json& json) const {
    return folder_.shorten(
        error_of("hash_attention", {{"budget", "2"}, {"file", write_json(folder_, json)}}));
  }

  // The outputs of a head's MLP in float64.
  std::vector<double> outputs(const std::string& side,
                              const std::string& activation,
                              std::int64_t head,
                              const std::vector<float>& vector) const {
    std::vector<double> x(vector.begin(), vector.end());
    for (int number = 0; weights_.contains(side + "_w" + std::to_string(number)); ++number) {
      const auto at = static_cast<std::size_t>(head);
      const Matrix& weights = weights_.at(side + "_w" + std::to_string(number))[at];
      const std::vector<float>& bias = biases_.at(side + "_b" + std::to_string(number))[at];
      const bool last = !weights_.contains(side + "_w" + std::to_string(number + 1));
      std::vector<double> y(bias.begin(), bias.end());
      for (std::size_t j = 0; j < y.size(); ++j) {
        for (std::size_t i = 0; i < x.size(); ++i) y[j] += x[i] * double{weights[i][j]};
        if (last) continue;
        if (activation == "relu") y[j] = std::max(y[j], 0.0);
        if (activation == "silu") y[j] = y[j] / (1 + std::exp(-y[j]));
        if (activation == "gelu") y[j] = y[j] / 2 * std::erfc(-y[j] / std::sqrt(2));
        if (activation == "tanh") y[j] = std::tanh(y[j]);
      }
      x = y;
    }
    return x;
  }
  // How many bits agree.
  Score score(const MaskerProblem& problem, const std::string& activation) const {
    const AttentionInputs& inputs = problem.inputs();
    const AttentionShape& shape = inputs.shape;
    std::vector<std::vector<bool>> queries;
    std::vector<std::vector<bool>> keys;
    const auto sign = [&](const char* side, std::int64_t head, const std::vector<float>& vector) {
      std::vector<bool> bits;
      for (const double y : outputs(side, activation, head, vector)) bits.push_back(y >= 0);
      return bits;
    };
    for (std::int64_t row = 0; row < shape.batch * shape.query_heads; ++row) {
      const std::int64_t b = row / shape.query_heads;
      const std::int64_t h = row % shape.query_heads;
      for (std::int64_t i = 0; i < shape.query_len; ++i) {
        queries.push_back(sign("hat_q", h, MaskerProblem::row_of(inputs.q, b, h, i)));
      }
      for (std::int64_t key = 0; key < shape.key_len; ++key) {
        keys.push_back(
            sign("hat_k", h, MaskerProblem::row_of(inputs.k, b, shape.kv_head_of(h), key)));
      }
    }
    return
        [shape, queries, keys](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t key) {
          const std::int64_t row = b * shape.query_heads + h;
          const auto& q = queries[static_cast<std::size_t>(row * shape.query_len + i)];
          const auto& k = keys[static_cast<std::size_t>(row * shape.key_len + key)];
          int matches = 0;
          for (std::size_t bit = 0; bit < q.size(); ++bit) matches += q[bit] == k[bit] ? 1 : 0;
          return static_cast<float>(matches);
        };
  }

  DataFolder folder_;
  std::map<std::string, std::vector<Matrix>> weights_;  // [heads][inputs][outputs]
  std::map<std::string, Matrix> biases_;                // [heads][outputs]
};

// Few bits: many keys score the same, and the lower goes first.
TEST_F(HashAttention, TakesTheKeysWhoseBitsAgreeMost) {
  for (const auto& [activation, outputs] :
       {std::pair<const char*, std::vector<std::int64_t>>{"relu", {12}},
        {"relu", {5, 70}},
        {"silu", {5, 64}},
        {"gelu", {6, 7, 130}},
        {"tanh", {5, 20}}}) {
    make(outputs);
    for (const MaskerProblem& problem : edge_problems(kDim)) {
      expect_best_keys("hash_attention", given(activation, problem.shape().query_heads), problem,
                       score(problem, activation));
    }
  }
}

// Gives the masker another file of weights.
void set_file(NamedArguments& arguments, const std::string& path) {
  for (auto& [name, value] : arguments) {
    if (name == "file") value = path;
  }
}

TEST_F(HashAttention, LayersHaveMlpsOfTheirOwn) {
  make({3, 24});
  const MaskerProblem problem({1, 1, 1, 3, 100, kDim});
  NamedArguments all = given("relu", 1);
  all.emplace_back("budget", "9");
  const Mask one_for_all = run({use("hash_attention", all)}, problem).mask;
  const nlohmann::json of_all = json(1);
  nlohmann::json of_layers;
  for (const auto& [name, tensor] : of_all.items()) {
    of_layers["layers.0." + name] = tensor;
    of_layers["layers.1." + name] = 0;
  }
  set_file(all, write_json(folder_, of_layers));
  EXPECT_EQ(run({use("hash_attention", all)}, problem).mask, one_for_all);
}

TEST_F(HashAttention, CountsTheActiveKeysOrNot) {
  make({5, 16});
  NamedArguments wide = given("relu", 2);
  // expect_counts has 16 inputs: each weight twice.
  nlohmann::json twice = json(2);
  for (const char* name : {"hat_q_w0", "hat_k_w0"}) {
    for (auto& matrix : twice[name]) {
      const nlohmann::json rows = matrix;
      matrix.insert(matrix.end(), rows.begin(), rows.end());
    }
  }
  set_file(wide, write_json(folder_, twice));
  expect_counts("hash_attention", wide);
}

TEST_F(HashAttention, KeepsTheRulesOfASelection) {
  make({5, 70});
  for (const char* share : {"query_head", "kv_head", "all"}) {
    NamedArguments all = given("silu", 4);
    all.insert(all.end(), {{"budget", "9"}, {"share", share}});
    expect_selection_rules({use("sink", {{"", "2"}}), use("hash_attention", all)},
                           MaskerProblem({2, 4, 2, 130, 200, kDim}, {.causal = true}));
  }
}

TEST_F(HashAttention, IndexGrowsKeyByKey) {
  make({5, 70});
  const MaskerProblem problem({2, 4, 2, 3, 150, kDim}, {.causal = true});
  NamedArguments all = given("relu", 4);
  all.emplace_back("budget", "9");
  expect_index_appends(use("hash_attention", all), problem, 100);
  expect_appending_is_building(use("hash_attention", all), problem);
}

TEST_F(HashAttention, ReportsItsIndexAndWhatItScores) {
  make({5, 70});
  const MaskerProblem problem({1, 2, 1, 3, 100, kDim}, {.causal = true});
  NamedArguments all = given("relu", 2);
  all.emplace_back("budget", "9");
  const MaskerReport report =
      report_of(run({use("hash_attention", all)}, problem), "hash_attention");
  EXPECT_EQ(report.keys_scored, 2 * (98 + 99 + 100));
  EXPECT_EQ(report.bytes_read, 2 * 100 * 16);
  EXPECT_EQ(report.index_bytes, 2 * 100 * 16);
  EXPECT_FALSE(report.index_spans_future);
}

TEST_F(HashAttention, BadFilesSayWhatWouldBeRight) {
  const nlohmann::json weights = {{{1, -1.5}, {1, 1}, {1, 1}, {0, 1}}};  // [1][4][2]
  const nlohmann::json biases = {{0.5, 0.5}};
  nlohmann::json json = {
      {"hat_q_w0", weights}, {"hat_q_b0", biases}, {"hat_k_w0", weights}, {"hat_k_b0", biases}};
  EXPECT_EQ(error(json), "");
  nlohmann::json bad = json;
  bad.erase("hat_k_b0");
  EXPECT_TRUE(says(error(bad),
                   "masker \"hash_attention\" cannot be created: weights.json: tensor "
                   "\"hat_k_b0\": the file has no such key"))
      << error(bad);
  bad = json;
  bad["hat_k_w0"] = {{{1.5, 1, 1}, {1, 1, 1}, {1, 1, 1}}};
  EXPECT_TRUE(says(error(bad),
                   "weights.json: tensor \"hat_k_w0\": its shape is [1, 3, 3]; it must be "
                   "[query_heads, inputs, outputs] = [1, 4, any]"));
  bad = json;
  bad["hat_q_b0"] = {{0.5, 0.5, 0.5}};
  EXPECT_TRUE(says(error(bad),
                   "weights.json: tensor \"hat_q_b0\": its shape is [1, 3]; it must be "
                   "[query_heads, outputs] = [1, 2]"));
  bad = json;
  bad["hat_k_w1"] = {{{1.5, 1, 1}, {1, 1, 1}}};
  bad["hat_k_b1"] = {{0.5, 0.5, 0.5}};
  EXPECT_TRUE(says(error(bad),
                   "weights.json: its hat_q end in 2 outputs, its hat_k in 3; they must end in as "
                   "many"));
  bad = json;
  bad["hat_q_b0"] = {{1, 2}};
  EXPECT_TRUE(
      says(error(bad), "weights.json: tensor \"hat_q_b0\": it must hold floating-point numbers"));
  EXPECT_EQ(error_of("hash_attention", {{"budget", "2"}, {"file", "nowhere.json"}}),
            "\"file\" is \"nowhere.json\", which is not a file that can be read");
}

}  // namespace
}  // namespace maskerade
