#pragma once

#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// The algebra of masks. Both operands must have the same visibility. Their extents must be equal or
// broadcast: a batch of 1 fits any batch, and two numbers of heads fit when one is a multiple of
// the other. The result is a new mask of the larger extent; no operand changes. All functions throw
// ShapeError when operands do not fit.

// Entries that are active in a or in b. An entry that a has with probability p and b with p' gets
// the probability 1 if either is 1, else 1 - (1 - p)(1 - p'). The union is commutative, and
// associative within rounding.
Mask union_of(const Mask& a, const Mask& b);
// Entries that are active in a and in b, with the product of their probabilities.
Mask intersection_of(const Mask& a, const Mask& b);
// Entries of a that are not active in b, with whatever probability; they keep that of a.
Mask difference_of(const Mask& a, const Mask& b);
// The visible entries that are not active in the mask. Throws ShapeError when it has sampled
// entries, whose complement is not defined.
Mask complement_of(const Mask& mask);

// Whether every active entry of a is active in b, with whatever probabilities.
bool is_subset(const Mask& a, const Mask& b);

// The entries with probability 1 alone.
Mask deterministic_part(const Mask& mask);
// Every active entry, each with probability 1.
Mask support_of(const Mask& mask);
// The mask repeated over a larger extent.
Mask broadcast(const Mask& mask, MaskExtent extent);
// The active entries whose keys are in [key_begin, key_end), with their probabilities: attending to
// them gives the part of the result that these keys contribute.
Mask keys_between(const Mask& mask, std::int64_t key_begin, std::int64_t key_end);
// Joins masks of single heads: head h of the result is what *of_head[h] holds for query head h.
// There is one mask per query head; all must have the same visibility and broadcast to (batch,
// query heads), where batch is the largest of theirs.
Mask gather_heads(const std::vector<const Mask*>& of_head);

}  // namespace maskerade
