#include <algorithm>

#include "attention/cpu/detail/piece.hpp"

namespace maskerade::detail {

namespace {

// Rows are taken when they cost at most this share of tiles: the costs are not exact, and near a
// tie tiles are the safer choice, because their plan is cheap.
constexpr double kRowsShare = 0.9;

// Whether a tile has both active and inactive visible entries: else lists leave nothing out.
bool has_partial_tiles(const Mask& mask, const Piece& piece) {
  const PieceMask piece_mask(mask, piece);
  if (mask.has_sampled()) return true;
  for (std::size_t i = 0; i < piece_mask.view_count(); ++i) {
    const TileRowView& view = piece_mask.view(i);
    if (!std::equal(view.any.begin(), view.any.end(), view.full.begin())) return true;
  }
  return false;
}

}  // namespace

void plan_piece(const Mask& mask, const Piece& piece, const Choice& choice, Part& part) {
  if (choice.walk && choice.walk != Walk::kRows) {
    return plan_tiles(mask, piece, choice.walk, part);
  }
  if (!choice.walk && !has_partial_tiles(mask, piece)) {
    return plan_tiles(mask, piece, std::nullopt, part);
  }
  const RowsPlan rows(mask, piece, choice);
  if (choice.walk || rows.ns() < kRowsShare * tiles_ns(mask, piece, choice))
    return rows.append_to(part);
  plan_tiles(mask, piece, std::nullopt, part);
}

}  // namespace maskerade::detail
