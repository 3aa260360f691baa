#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/mask/mask.hpp"
#include "framework/plugin/catalog.hpp"
#include "framework/plugin/parameters.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// One masker of a pipeline, with its arguments.
struct MaskerUse {
  std::shared_ptr<const MaskerType> type;
  std::shared_ptr<const Arguments> arguments;
};

// The maskers that some query heads use instead of a pipeline's own. Each of these heads gets the
// mask that a pipeline of these maskers alone would give it, drawn with the same random numbers.
struct HeadRoute {
  std::string name;                 // in reports
  std::vector<std::int64_t> heads;  // query heads, ascending
  bool is_dense = false;            // every visible key; then there are no maskers
  std::vector<MaskerUse> maskers;   // in list order
};

// Throws Error unless heads ascend and no two routes share one.
void check_routes(const std::vector<HeadRoute>& routes);

// A set of query heads of a problem.
class HeadSet {
 public:
  static HeadSet all(std::int64_t query_heads);
  // Throws ShapeError when a head is not among query_heads.
  static HeadSet of(const HeadRoute& route, std::int64_t query_heads);

  bool is_all() const noexcept;
  bool is_empty() const noexcept;
  bool has(std::int64_t head) const { return has_[static_cast<std::size_t>(head)]; }
  void remove(const HeadSet& others);

  // These heads and those that share a unit with one of them, where heads [u * together, (u + 1) *
  // together) are unit u.
  HeadSet with_units_of(std::int64_t together) const;
  // The units that hold one of these heads, ascending.
  std::vector<std::int64_t> units(std::int64_t together) const;
  // Whether one of these heads reads that kv head.
  bool reads(std::int64_t kv_head, const AttentionShape& shape) const;

 private:
  explicit HeadSet(std::vector<bool> has) : has_(std::move(has)) {}

  std::vector<bool> has_;  // [query_heads]
};

}  // namespace maskerade
