#include "framework/pipeline/run_masker.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "framework/base/saturate.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {
namespace {

constexpr std::uint32_t kContent = MASKERADE_DEPENDS_SEED | MASKERADE_DEPENDS_QUERY |
                                   MASKERADE_DEPENDS_KEY | MASKERADE_DEPENDS_VALUE;

// The first queries of chunks, and query_len. A chunk ends at the first query, chunk_rows or more
// after its own first, that begins both a tile row and a unit.
std::vector<std::int64_t> chunk_borders(const Visibility& visibility,
                                        std::int64_t query_block,
                                        std::int64_t chunk_rows) {
  const std::int64_t height = std::min(kTileRows, visibility.query_len());
  const auto unit = [&](std::int64_t query) {
    return maskerade_block_of(visibility.position(query), query_block);
  };
  std::vector<std::int64_t> borders = {0};
  for (std::int64_t query = height; query < visibility.query_len(); query += height) {
    if (query - borders.back() >= chunk_rows && unit(query) != unit(query - 1)) {
      borders.push_back(query);
    }
  }
  borders.push_back(visibility.query_len());
  return borders;
}

}  // namespace

MaskExtent extent_after(MaskExtent previous, const MaskerType& type, const AttentionShape& shape) {
  const bool each_batch = type.depends_on(kContent | MASKERADE_DEPENDS_BATCH);
  const bool each_head = type.depends_on(kContent | MASKERADE_DEPENDS_HEAD);
  return {std::max(previous.batch, each_batch ? shape.batch : 1),
          std::max(previous.heads, each_head ? shape.query_heads : 1)};
}

std::int64_t heads_together(const maskerade_grain& grain, const AttentionShape& shape) {
  if (grain.heads == MASKERADE_HEADS_ALL) return shape.query_heads;
  return grain.heads == MASKERADE_HEADS_GROUP ? shape.group_size() : 1;
}

Mask run_masker(const MaskerInstance& instance,
                const MaskerContext& context,
                const Mask& previous,
                const HeadSet& heads,
                std::int64_t chunk_rows,
                const Threads& threads,
                MaskerReport& report) {
  const AttentionShape& shape = context.inputs->shape;
  const Visibility& visibility = context.inputs->visibility;
  const MaskExtent extent = extent_after(previous.extent(), instance.type(), shape);
  const std::int64_t height = previous.tile_height();
  const std::int64_t tile_rows = previous.tile_row_count();
  const auto borders = chunk_borders(visibility, instance.grain().query_block, chunk_rows);
  const auto chunks = static_cast<std::int64_t>(borders.size()) - 1;
  const bool is_shared = extent.heads == 1;
  const std::int64_t together = is_shared ? 1 : heads_together(instance.grain(), shape);
  const std::vector<std::int64_t> groups =
      is_shared ? std::vector<std::int64_t>{0} : heads.units(together);
  const auto group_count = static_cast<std::int64_t>(groups.size());

  // With fewer units than threads, units run one after another, and all threads share the scoring
  // of each one's keys.
  const std::int64_t units = extent.batch * group_count * chunks;
  const bool in_turn = units < threads.count() &&
                       instance.type().depends_on(MASKERADE_DEPENDS_QUERY) &&
                       instance.type().depends_on(MASKERADE_DEPENDS_KEY);
  const Threads alone(1);
  const Threads& of_units = in_turn ? alone : threads;
  const Threads& of_parts = in_turn ? threads : alone;

  std::vector<std::unique_ptr<HostCall>> hosts(static_cast<std::size_t>(of_units.count()));
  const auto words = static_cast<std::size_t>((previous.tile_count() + 63) / 64);
  std::vector<TileRow> results(static_cast<std::size_t>(extent.batch * extent.heads * tile_rows));
  for (std::int64_t head = 0; head < extent.heads && !is_shared; ++head) {
    for (std::int64_t b = 0; b < extent.batch && !heads.has(head); ++b) {
      std::fill_n(results.begin() + (b * extent.heads + head) * tile_rows, tile_rows,
                  TileRow{.any = std::vector<std::uint64_t>(words),
                          .full = std::vector<std::uint64_t>(words)});
    }
  }
  of_units.for_each(units, [&](std::int64_t item, int worker) {
    const std::int64_t chunk = item % chunks;
    const std::int64_t group = groups[static_cast<std::size_t>(item / chunks % group_count)];
    const CallRows rows{.batch = item / chunks / group_count,
                        .head_begin = group * together,
                        .head_end = (group + 1) * together,
                        .query_begin = borders[static_cast<std::size_t>(chunk)],
                        .query_end = borders[static_cast<std::size_t>(chunk) + 1]};
    auto& host = hosts[static_cast<std::size_t>(worker)];
    if (!host) host = std::make_unique<HostCall>(context, of_parts);
    host->start(rows, previous);
    instance.select(*host);
    for (std::int64_t head = rows.head_begin; head < rows.head_end; ++head) {
      for (std::int64_t query = rows.query_begin; query < rows.query_end; query += height) {
        results[static_cast<std::size_t>((rows.batch * extent.heads + head) * tile_rows +
                                         query / height)] = host->finish(head, query);
      }
    }
  });
  for (const auto& host : hosts) {
    if (!host) continue;
    report.keys_scored = saturating_sum(report.keys_scored, host->keys_scored());
    report.bytes_read = saturating_sum(report.bytes_read, host->bytes_read());
  }
  return Mask::from_tile_rows(visibility, extent, results);
}

}  // namespace maskerade
