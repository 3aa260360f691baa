#include "experiments/report/tile_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

// Beside the characters: a number of up to 10 digits, spaces, and the density.
constexpr std::size_t kBesideMap = 22;

std::int64_t whole(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

// Entries of the blocks that the characters of one line stand for.
struct LineCounts {
  std::vector<std::int64_t> active;
  std::vector<std::int64_t> visible;
};

class MapMaker {
 public:
  MapMaker(const Mask& mask, const MapWindow& window, std::int64_t keys_per_character)
      : mask_(mask),
        window_(window),
        step_(keys_per_character),
        columns_(static_cast<std::size_t>(whole(window.keys.size(), step_))) {}

  std::string line(std::int64_t begin, std::int64_t end) const {
    LineCounts counts{std::vector<std::int64_t>(columns_), std::vector<std::int64_t>(columns_)};
    for (std::int64_t query = begin; query < end; ++query) add_row(query, counts);
    std::string text = fmt::format("{:>10} ", begin);
    std::int64_t active = 0;
    std::int64_t visible = 0;
    for (std::size_t i = 0; i < columns_; ++i) {
      text += character(counts.active[i], counts.visible[i]);
      active += counts.active[i];
      visible += counts.visible[i];
    }
    const double percent =
        visible == 0 ? 0 : 100.0 * static_cast<double>(active) / static_cast<double>(visible);
    return text + fmt::format(" {:>6} %", number_text(percent));
  }

 private:
  static const char* character(std::int64_t active, std::int64_t visible) {
    if (visible == 0) return " ";
    if (active == 0) return "·";
    if (active == visible) return "█";
    if (4 * active < visible) return "░";
    return 4 * active < 3 * visible ? "▒" : "▓";
  }

  std::size_t column_of(std::int64_t key) const {
    return static_cast<std::size_t>((key - window_.keys.begin) / step_);
  }

  void add_row(std::int64_t query, LineCounts& counts) const {
    const IndexRange& keys = window_.keys;
    const std::int64_t end = std::min(keys.end, mask_.visibility().end(query));
    for (std::int64_t key = keys.begin; key < end;) {
      const std::int64_t next =
          std::min(end, keys.begin + (static_cast<std::int64_t>(column_of(key)) + 1) * step_);
      counts.visible[column_of(key)] += next - key;
      key = next;
    }
    const auto count = [&](std::int64_t key) {
      if (key >= keys.begin && key < end) ++counts.active[column_of(key)];
    };
    const std::int64_t height = mask_.tile_height();
    mask_.tile_row(window_.batch, window_.head, query / height)
        .for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
          std::uint64_t word = words == nullptr ? ~std::uint64_t{0} : words[query % height];
          for (; word != 0; word &= word - 1) count(tile * kTileKeys + std::countr_zero(word));
        });
    for (const std::int32_t key : mask_.sampled(window_.batch, window_.head, query).keys) {
      count(key);
    }
  }

  const Mask& mask_;
  const MapWindow& window_;
  std::int64_t step_;
  std::size_t columns_;
};

}  // namespace

TileMap tile_map(const Mask& mask,
                 const MapWindow& window,
                 std::size_t width,
                 std::size_t most_lines) {
  const auto characters =
      static_cast<std::int64_t>(width > kBesideMap + 8 ? width - kBesideMap : 8);
  TileMap map{
      .queries_per_line = whole(window.queries.size(),
                                static_cast<std::int64_t>(std::max<std::size_t>(most_lines, 1))),
      .keys_per_character = whole(window.keys.size(), characters),
      .lines = {}};
  const MapMaker maker(mask, window, map.keys_per_character);
  for (std::int64_t query = window.queries.begin; query < window.queries.end;
       query += map.queries_per_line) {
    map.lines.push_back(
        maker.line(query, std::min(query + map.queries_per_line, window.queries.end)));
  }
  return map;
}

}  // namespace maskerade
