// How many pieces of keys, pages or blocks, a budget of keys buys: one definition for the CPU and
// for the device. Plain numbers; [any thread].
#pragma once

#include <cstdint>

#include "framework/sdk/anywhere.hpp"

namespace maskerade::sdk {

// Whether a row's budget reaches each of its visible inactive keys. keys: what the budget states
// for the row. active: how many of its `visible` keys are active; a total budget counts these, too.
MASKERADE_SDK_ANYWHERE bool reaches_every_key(std::int64_t keys,
                                              bool is_total,
                                              std::int64_t active,
                                              std::int64_t visible) {
  return keys >= visible - (is_total ? 0 : active);
}

// How many of `all` pieces of `size` keys are taken for `keys` keys: as many as they hold whole, at
// least `least`. All where the budget reaches_all: every visible inactive key of every row for
// which the pieces are taken. Rationale: the last piece is seldom whole, and pieces may hold active
// keys, so that the whole pieces of no budget would reach every key.
MASKERADE_SDK_ANYWHERE std::int64_t pieces_of_budget(
    std::int64_t keys, bool reaches_all, std::int64_t size, std::int64_t least, std::int64_t all) {
  if (reaches_all) return all;
  const std::int64_t whole = keys > 0 ? keys / size : 0;
  return whole > least ? whole : least;
}

// The same of blocks: at least one, unless there is no key to take.
MASKERADE_SDK_ANYWHERE std::int64_t blocks_of_budget(std::int64_t keys,
                                                     bool reaches_all,
                                                     std::int64_t block,
                                                     std::int64_t all) {
  return pieces_of_budget(keys, reaches_all, block, keys > 0 ? 1 : 0, all);
}

// The most pieces whose tiles and keys a row gets that no earlier masker gave it: a row that gets
// all has no more inactive keys than its budget, less than one piece more than the budget holds
// whole.
MASKERADE_SDK_ANYWHERE std::int64_t most_pieces_of_budget(std::int64_t keys,
                                                          std::int64_t size,
                                                          std::int64_t least) {
  const std::int64_t whole = keys > 0 ? keys / size + 1 : 0;
  return whole > least ? whole : least;
}

}  // namespace maskerade::sdk
