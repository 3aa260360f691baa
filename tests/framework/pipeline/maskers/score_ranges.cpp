#include <cmath>
#include <string>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Checks score_range over all rows of the call against the definition; selects nothing. float32.
class ScoreRanges final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "score_ranges",
            .summary = "a check of score_range",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kQuery | sdk::kKey};
  }
  explicit ScoreRanges(const sdk::Arguments&) {}

  maskerade_grain grain() const override { return {1, MASKERADE_HEADS_ALL}; }
  void select(const maskerade_call& call) const override {
    const std::int64_t key_len = call.shape.key_len;
    for (const auto& [begin, end] : {std::pair{std::int64_t{0}, key_len},
                                     {std::int64_t{5}, key_len - 1},
                                     {std::int64_t{64}, std::int64_t{128}},
                                     {std::int64_t{70}, std::int64_t{75}},
                                     {std::int64_t{9}, std::int64_t{9}}}) {
      check(call, begin, end);
    }
  }

 private:
  static void check(const maskerade_call& call, std::int64_t begin, std::int64_t end) {
    const std::int64_t rows = sdk::row_count(call);
    const std::int64_t stride = end - begin + 3;
    std::vector<float> scores(static_cast<std::size_t>(rows * stride), -1.0F);
    sdk::require_ok(call.services->score_range(&call, 0, rows, begin, end, scores.data(), stride));
    for (std::int64_t r = 0; r < rows; ++r) {
      const sdk::Row row(call, r);
      const float* q = static_cast<const float*>(call.q.data) + row.head() * call.q.head_stride +
                       row.query() * call.q.row_stride;
      for (std::int64_t j = 0; j < stride; ++j) {
        float expected = -1.0F;  // beyond the range nothing is written
        if (begin + j < end) {
          const float* k = static_cast<const float*>(call.k.data) +
                           row.kv_head() * call.k.head_stride + (begin + j) * call.k.row_stride;
          expected = 0;
          for (std::int64_t d = 0; d < call.shape.head_dim; ++d) {
            expected = std::fma(q[d], k[d], expected);
          }
        }
        if (scores[static_cast<std::size_t>(r * stride + j)] != expected) {
          throw std::runtime_error("row " + std::to_string(r) + ", key " +
                                   std::to_string(begin + j) + " has another score");
        }
      }
    }
  }
};

}  // namespace

MASKERADE_EXPORT_MASKER(ScoreRanges)
