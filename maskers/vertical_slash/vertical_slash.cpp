#include "framework/sdk/masker.hpp"
#include "framework/sdk/row_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The columns and diagonals that carry most of the last queries' attention, for every query.
// Heads that share pool the masses of columns and diagonals.
class VerticalSlash final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    sdk::Description description{
        .id = "vertical_slash",
        .summary = "prefill: the key columns and diagonals that the last queries attend to most",
        .reference = "arXiv:2407.02490",
        .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey,
        .parameters = {sdk::count("verticals", "key columns to select"),
                       sdk::count("slashes", "diagonals (distances from query to key) to select"),
                       sdk::count("last_queries", "queries from which the attention is estimated")
                           .with_default("64")
                           .at_least(1)}};
    for (sdk::Parameter& parameter : sdk::Sharing::parameters()) {
      description.parameters.push_back(std::move(parameter));
    }
    return description;
  }

  explicit VerticalSlash(const sdk::Arguments& arguments)
      : verticals_(static_cast<std::size_t>(arguments.count("verticals"))),
        slashes_(static_cast<std::size_t>(arguments.count("slashes"))),
        last_queries_(arguments.count("last_queries")),
        sharing_(sdk::Sharing::from(arguments)),
        heads_of_call_(sharing_.heads_of_call(arguments.shape())) {}

  // All queries of a head are one unit: each needs what the last ones attend to.
  maskerade_grain grain() const override { return {MASKERADE_ALL_QUERIES, heads_of_call_}; }

  void select(const maskerade_call& call) const override {
    std::vector<Masses> masses = estimate(call);
    sharing_.for_each_set(
        call.head_begin, call.head_end, [&](std::int64_t head_begin, std::int64_t head_end) {
          Masses& pooled = masses[static_cast<std::size_t>(head_begin - call.head_begin)];
          for (std::int64_t head = head_begin + 1; head < head_end; ++head) {
            const Masses& next = masses[static_cast<std::size_t>(head - call.head_begin)];
            sharing_.pool<double>(next.columns, pooled.columns);
            sharing_.pool<double>(next.diagonals, pooled.diagonals);
          }
          add_best(call, head_begin, head_end, pooled);
        });
  }

 private:
  struct Masses {
    std::int64_t first_distance = 0;
    std::vector<double> columns;    // [key_len]
    std::vector<double> diagonals;  // by distance from first_distance on
  };

  // For each head of a call: the softmax of the last queries, summed by key and by distance.
  std::vector<Masses> estimate(const maskerade_call& call) const {
    const std::int64_t* positions = call.positions;
    const std::int64_t highest = *std::max_element(positions, positions + call.shape.query_len);
    const std::int64_t lowest = *std::min_element(positions, positions + call.shape.query_len);
    Masses none;
    none.first_distance = call.causal != 0 ? 0 : lowest - call.shape.key_len + 1;
    none.columns.resize(static_cast<std::size_t>(call.shape.key_len));
    none.diagonals.resize(
        static_cast<std::size_t>(std::max<std::int64_t>(highest - none.first_distance + 1, 0)));
    std::vector<Masses> all(static_cast<std::size_t>(call.head_end - call.head_begin), none);
    std::vector<double> weights;
    const std::int64_t first = std::max<std::int64_t>(call.shape.query_len - last_queries_, 0);
    sdk::score_each_head(call, {call.head_begin, call.head_end}, {first, call.shape.query_len},
                         [&](const sdk::QueryScores& query, std::int64_t head) {
                           Masses& masses = all[static_cast<std::size_t>(head - call.head_begin)];
                           const sdk::Row row = query.row(head);
                           const double sum = sdk::softmax_weights(row, query.of(head), weights);
                           double* diagonal =
                               masses.diagonals.data() + (row.position() - masses.first_distance);
                           for (std::size_t key = 0; key < weights.size(); ++key) {
                             const double share = weights[key] / sum;
                             masses.columns[key] += share;
                             *(diagonal - key) += share;
                           }
                         });
    return all;
  }

  // Adds the best columns and diagonals to all rows of some heads.
  void add_best(const maskerade_call& call,
                std::int64_t head_begin,
                std::int64_t head_end,
                const Masses& pooled) const {
    const std::vector<std::int32_t> columns = top(call, pooled.columns, verticals_);
    const std::vector<std::int32_t> diagonals = top(call, pooled.diagonals, slashes_);
    const std::int64_t queries = call.query_end - call.query_begin;
    const std::int64_t first = (head_begin - call.head_begin) * queries;
    const std::int64_t last = (head_end - call.head_begin) * queries;
    for_each_run(columns, [&](std::int64_t begin, std::int64_t end) {
      sdk::require_ok(call.services->add_range(&call, first, last, begin, end));
    });
    for (std::int64_t row = first; row < last; ++row) {
      const sdk::Row at(call, row);
      for_each_run(diagonals, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t key = at.position() - pooled.first_distance;
        if (key - end + 1 < at.visible_len() && key - begin >= 0) {
          at.add_range(key - end + 1, key - begin + 1);
        }
      });
    }
  }

  // The indices of the highest scores, ascending.
  static std::vector<std::int32_t> top(const maskerade_call& call,
                                       const std::vector<double>& masses,
                                       std::size_t count) {
    const std::vector<float> scores(masses.begin(), masses.end());
    std::vector<std::int32_t> indices(std::min(count, scores.size()));
    indices.resize(call.services->top_indices(&call, scores.data(), scores.size(), indices.size(),
                                              indices.data()));
    return indices;
  }

  // Calls visit(begin, end) for the runs of numbers that follow each other.
  static void for_each_run(const std::vector<std::int32_t>& numbers, const auto& visit) {
    for (std::size_t i = 0; i < numbers.size();) {
      std::size_t end = i + 1;
      while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
      visit(numbers[i], numbers[end - 1] + 1);
      i = end;
    }
  }

  std::size_t verticals_;
  std::size_t slashes_;
  std::int64_t last_queries_;
  sdk::Sharing sharing_;
  std::uint32_t heads_of_call_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(VerticalSlash)
