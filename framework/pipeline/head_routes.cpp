#include "framework/pipeline/head_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "framework/base/error.hpp"

namespace maskerade {

void check_routes(const std::vector<HeadRoute>& routes) {
  std::map<std::int64_t, const HeadRoute*> taken;
  for (const HeadRoute& route : routes) {
    for (std::size_t i = 0; i < route.heads.size(); ++i) {
      const std::int64_t head = route.heads[i];
      if (head < 0 || (i > 0 && head <= route.heads[i - 1])) {
        throw Error(
            fmt::format("the heads of route \"{}\" must ascend from 0 on, and none twice; {} does "
                        "not",
                        route.name, head));
      }
      const auto [other, is_new] = taken.emplace(head, &route);
      if (!is_new) {
        throw Error(fmt::format("head {} is in the routes \"{}\" and \"{}\"; it takes one", head,
                                other->second->name, route.name));
      }
    }
  }
}

HeadSet HeadSet::all(std::int64_t query_heads) {
  return HeadSet(std::vector<bool>(static_cast<std::size_t>(query_heads), true));
}

HeadSet HeadSet::of(const HeadRoute& route, std::int64_t query_heads) {
  std::vector<bool> has(static_cast<std::size_t>(query_heads));
  for (const std::int64_t head : route.heads) {
    if (head >= query_heads) {
      throw ShapeError(fmt::format("route \"{}\" takes query head {}, but there are {}: 0 to {}",
                                   route.name, head, query_heads, query_heads - 1));
    }
    has[static_cast<std::size_t>(head)] = true;
  }
  return HeadSet(std::move(has));
}

bool HeadSet::is_all() const noexcept {
  return std::find(has_.begin(), has_.end(), false) == has_.end();
}

bool HeadSet::is_empty() const noexcept {
  return std::find(has_.begin(), has_.end(), true) == has_.end();
}

void HeadSet::remove(const HeadSet& others) {
  for (std::size_t head = 0; head < has_.size(); ++head) {
    if (others.has_[head]) has_[head] = false;
  }
}

HeadSet HeadSet::with_units_of(std::int64_t together) const {
  std::vector<bool> wider(has_.size());
  for (const std::int64_t unit : units(together)) {
    std::fill_n(wider.begin() + unit * together, together, true);
  }
  return HeadSet(std::move(wider));
}

std::vector<std::int64_t> HeadSet::units(std::int64_t together) const {
  std::vector<std::int64_t> found;
  for (std::size_t head = 0; head < has_.size(); ++head) {
    const std::int64_t unit = static_cast<std::int64_t>(head) / together;
    if (has_[head] && (found.empty() || found.back() != unit)) found.push_back(unit);
  }
  return found;
}

bool HeadSet::reads(std::int64_t kv_head, const AttentionShape& shape) const {
  const auto first = has_.begin() + kv_head * shape.group_size();
  return std::find(first, first + shape.group_size(), true) != first + shape.group_size();
}

}  // namespace maskerade
