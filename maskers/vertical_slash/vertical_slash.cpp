#include <cstdlib>
#include <limits>
#include <numeric>

#include "framework/sdk/masker.hpp"
#include "framework/sdk/row_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The columns and diagonals that carry most of the last queries' attention, for every query. As the
// published code does at run time, whatever their masses the first columns and the diagonals
// nearest to the query rank before all others, and small counts are raised to a least one. Heads
// that share pool the masses of columns and diagonals.
class VerticalSlash final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    sdk::Description description{
        .id = "vertical_slash",
        .summary = "prefill: the key columns and diagonals that the last queries attend to most",
        .reference = "arXiv:2407.02490",
        .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey,
        .parameters = {
            sdk::count("verticals", "key columns to select"),
            sdk::count("slashes", "diagonals (distances from query to key) to select"),
            sdk::count("last_queries", "queries from which the attention is estimated")
                .with_default("64")
                .at_least(1),
            sdk::count("first_verticals",
                       "first key columns that rank before all others, within verticals")
                .with_default("30"),
            sdk::count("near_slashes",
                       "diagonals nearest to the query that rank before all others, "
                       "within slashes")
                .with_default("100"),
            sdk::count("min_verticals", "key columns selected at least").with_default("30"),
            sdk::count("min_slashes", "diagonals selected at least").with_default("50")}};
    for (sdk::Parameter& parameter : sdk::Sharing::parameters()) {
      description.parameters.push_back(std::move(parameter));
    }
    return description;
  }

  explicit VerticalSlash(const sdk::Arguments& arguments)
      : verticals_(std::max(arguments.count("verticals"), arguments.count("min_verticals"))),
        slashes_(std::max(arguments.count("slashes"), arguments.count("min_slashes"))),
        last_queries_(arguments.count("last_queries")),
        first_verticals_(arguments.count("first_verticals")),
        near_slashes_(arguments.count("near_slashes")),
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
    for (const sdk::Span& queries : last_queries(call)) {
      sdk::score_each_head(call, {call.head_begin, call.head_end}, queries,
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
    }
    return all;
  }

  // The queries at the last positions, wherever they stand among the queries, as runs of those that
  // follow each other.
  std::vector<sdk::Span> last_queries(const maskerade_call& call) const {
    std::vector<std::int64_t> queries(static_cast<std::size_t>(call.shape.query_len));
    std::iota(queries.begin(), queries.end(), std::int64_t{0});
    std::stable_sort(queries.begin(), queries.end(), [&](std::int64_t a, std::int64_t b) {
      return call.positions[a] < call.positions[b];
    });
    const std::int64_t earlier = std::max<std::int64_t>(call.shape.query_len - last_queries_, 0);
    queries.erase(queries.begin(), queries.begin() + static_cast<std::ptrdiff_t>(earlier));
    std::sort(queries.begin(), queries.end());
    std::vector<sdk::Span> runs;
    for_each_run(queries, [&](std::int64_t begin, std::int64_t end) {
      runs.push_back({begin, end});
    });
    return runs;
  }

  // Adds the best columns and diagonals to all rows of some heads.
  void add_best(const maskerade_call& call,
                std::int64_t head_begin,
                std::int64_t head_end,
                const Masses& pooled) const {
    const std::vector<std::int32_t> columns =
        top(call, pooled.columns, verticals_, first_columns(pooled));
    const std::vector<std::int32_t> diagonals =
        top(call, pooled.diagonals, slashes_, nearest_diagonals(pooled));
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

  // The columns that rank before all others, in their order.
  std::vector<std::size_t> first_columns(const Masses& masses) const {
    std::vector<std::size_t> columns(masses.columns.size());
    std::iota(columns.begin(), columns.end(), std::size_t{0});
    columns.resize(std::min(columns.size(), static_cast<std::size_t>(first_verticals_)));
    return columns;
  }
  // The diagonals that do, nearest first; of two at the same distance that of the earlier keys.
  std::vector<std::size_t> nearest_diagonals(const Masses& masses) const {
    std::vector<std::size_t> diagonals(masses.diagonals.size());
    std::iota(diagonals.begin(), diagonals.end(), std::size_t{0});
    const auto distance = [&](std::size_t diagonal) {
      return masses.first_distance + static_cast<std::int64_t>(diagonal);
    };
    const auto is_nearer = [&](std::size_t a, std::size_t b) {
      const std::int64_t of_a = distance(a);
      const std::int64_t of_b = distance(b);
      return std::abs(of_a) != std::abs(of_b) ? std::abs(of_a) < std::abs(of_b) : of_a > of_b;
    };
    const std::size_t count = std::min(diagonals.size(), static_cast<std::size_t>(near_slashes_));
    std::partial_sort(diagonals.begin(), diagonals.begin() + static_cast<std::ptrdiff_t>(count),
                      diagonals.end(), is_nearer);
    diagonals.resize(count);
    return diagonals;
  }

  // The indices of `count` masses, ascending: those that rank `before` all others, in that order,
  // and then the largest.
  static std::vector<std::int32_t> top(const maskerade_call& call,
                                       const std::vector<double>& masses,
                                       std::int64_t count,
                                       const std::vector<std::size_t>& before) {
    std::vector<float> scores(masses.begin(), masses.end());
    std::vector<std::int32_t> indices(std::min(static_cast<std::size_t>(count), scores.size()));
    for (std::size_t i = 0; i < std::min(before.size(), indices.size()); ++i) {
      scores[before[i]] = std::numeric_limits<float>::infinity();
    }
    indices.resize(call.services->top_indices(&call, scores.data(), scores.size(), indices.size(),
                                              indices.data()));
    return indices;
  }

  // Calls visit(begin, end) for the runs of numbers that follow each other.
  static void for_each_run(const auto& numbers, const auto& visit) {
    for (std::size_t i = 0; i < numbers.size();) {
      std::size_t end = i + 1;
      while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
      visit(numbers[i], numbers[end - 1] + 1);
      i = end;
    }
  }

  std::int64_t verticals_;
  std::int64_t slashes_;
  std::int64_t last_queries_;
  std::int64_t first_verticals_;
  std::int64_t near_slashes_;
  sdk::Sharing sharing_;
  std::uint32_t heads_of_call_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(VerticalSlash)
