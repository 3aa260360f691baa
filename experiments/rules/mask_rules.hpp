// What must hold of every mask, and of every implementation of the algebra of masks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/rules/violation.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade::rules {

// The inclusion probabilities of one row, [key_len], 0 where a key is not active, read from the
// mask's arrays by the definition of its storage. batch and head count the mask's own.
std::vector<float> row_probabilities(const Mask& mask,
                                     std::int64_t batch,
                                     std::int64_t head,
                                     std::int64_t query);

// The mask is in canonical form: invisible bits are 0; a tile whose visible entries are all active
// is full, and no other is; a tile without an active bit is empty; sampled lists ascend, hold
// visible keys that are no bits, and probabilities in (0, 1): what has probability 1 is a bit; a
// mask without sampled entries has no lists.
Violations check_canonical_form(const Mask& mask);
// The same of arrays that are no mask yet. Their sizes are those of the visibility and the extent.
Violations check_canonical_form(const Visibility& visibility,
                                MaskExtent extent,
                                const MaskArrays& arrays);

// Every entry of `found` has the probability that `expected` has. The extents are equal, or one
// broadcasts to the other; heads in the violations are those of the larger one. rule: what is to
// hold, for the violations.
Violations check_same_entries(const std::string& rule, const Mask& found, const Mask& expected);

// Every active entry of `previous` is active in `result`, with a probability as large or larger.
// Extents as in check_same_entries.
Violations check_previous_is_kept(const Mask& previous, const Mask& result);

// A mask by way of each of its other forms: what the rule of conversions is asked of.
struct MaskConversions {
  using Way = std::function<Mask(const Mask&)>;

  // Those of framework/mask/conversions.hpp, blocks of 64 tokens.
  MaskConversions();

  Way by_dense;
  Way by_compressed_rows;
  Way by_flat_entries;
  Way by_blocks;
};

// The mask comes back from dense probabilities, compressed rows and flat entries with every
// probability it has, and blocks hold all of it.
Violations check_conversions(const Mask& mask, const MaskConversions& conversions = {});

// The operations on masks: what the algebra's rules are asked of.
struct MaskAlgebra {
  using Binary = std::function<Mask(const Mask&, const Mask&)>;
  using Unary = std::function<Mask(const Mask&)>;

  // Those of framework/mask/set_operations.hpp.
  MaskAlgebra();

  Binary union_of;
  Binary intersection_of;
  Binary difference_of;
  Unary complement_of;
  Unary support_of;
  std::function<bool(const Mask&, const Mask&)> is_subset;
};

// The laws of the lattice of sets, for three masks without sampled entries over the same entries:
// union and intersection are idempotent, commutative, associative, absorb each other and distribute
// over each other; the complement is an involution, parts the visible and follows De Morgan; the
// difference is the intersection with the complement; empty and full are the bounds. Throws Error
// when a mask has sampled entries.
Violations check_lattice_laws(const Mask& a,
                              const Mask& b,
                              const Mask& c,
                              const MaskAlgebra& algebra = {});

// The laws that hold whatever the probabilities, for three masks over the same entries: union and
// intersection commute; union associates within rounding, is monotone and 1 exactly where an
// operand is; intersection is no larger than an operand; empty and full are the bounds; supports
// follow the lattice; subset agrees with difference; the complement of a mask with sampled entries
// is refused with a ShapeError.
Violations check_sampled_laws(const Mask& a,
                              const Mask& b,
                              const Mask& c,
                              const MaskAlgebra& algebra = {});

// Union, intersection, difference and support give what their definitions give entry by entry, in
// canonical form, and leave their operands as they were.
Violations check_operations_entry_by_entry(const Mask& a,
                                           const Mask& b,
                                           const MaskAlgebra& algebra = {});

}  // namespace maskerade::rules
