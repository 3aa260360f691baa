#pragma once

#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// The algebra of masks (design: mask algebra). Operands have the same visibility, and extents that
// are equal or broadcast (a 1 beside any number; heads also when one is a multiple of the other);
// the result has the larger extent. All throw ShapeError otherwise. None changes an operand.
//
// For bits (probability 1) and for supports this is the lattice of sets of visible entries. For
// probabilities p, p' < 1: union 1 - (1-p)(1-p'), 1 if either is 1, commutative and associative
// within rounding; intersection p p'.
Mask union_of(const Mask& a, const Mask& b);
Mask intersection_of(const Mask& a, const Mask& b);
// a without the keys that are active, with whatever probability, in b.
Mask difference_of(const Mask& a, const Mask& b);
// The visible entries that are not active. Throws ShapeError when the mask has sampled entries:
// their complement is not defined.
Mask complement_of(const Mask& mask);

// Whether every active entry of a is active in b, with whatever probabilities.
bool is_subset(const Mask& a, const Mask& b);

// The bits alone: entries with probability < 1 dropped.
Mask deterministic_part(const Mask& mask);
// Every active entry, with probability 1.
Mask support_of(const Mask& mask);
// The same entries over a larger extent.
Mask broadcast(const Mask& mask, MaskExtent extent);
// The active entries whose keys are in [key_begin, key_end), with their probabilities: attending to
// them gives the part of the result that these keys contribute.
Mask keys_between(const Mask& mask, std::int64_t key_begin, std::int64_t key_end);
// Head h as it is in *of_head[h]: one mask per query head, of one visibility, each of an extent
// that can be broadcast to (batch, query heads). Throws ShapeError otherwise.
Mask gather_heads(const std::vector<const Mask*>& of_head);

}  // namespace maskerade
