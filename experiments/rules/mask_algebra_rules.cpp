#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "experiments/rules/mask_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade::rules {
namespace {

// A law's two sides are one mask, and canonical.
void require_same(const char* law, const Mask& left, const Mask& right, Violations& violations) {
  append(violations, check_canonical_form(left));
  append(violations, check_same_entries(law, left, right));
}

void require_true(const char* law, bool holds, Violations& violations) {
  if (!holds) violations.push_back({law, {}, "it does not hold for these masks"});
}

// Calls holds(values of the entry) for every entry of masks of one extent; where it gives a text,
// that is the finding.
template <typename Finding>
void require_each(const char* law,
                  const std::vector<const Mask*>& masks,
                  Violations& violations,
                  Finding&& finding) {
  ViolationList found(law);
  const Mask& first = *masks.front();
  for (std::int64_t b = 0; b < first.extent().batch; ++b) {
    for (std::int64_t h = 0; h < first.extent().heads; ++h) {
      for (std::int64_t query = 0; query < first.query_len(); ++query) {
        std::vector<std::vector<float>> rows;
        for (const Mask* mask : masks) rows.push_back(row_probabilities(*mask, b, h, query));
        std::vector<float> values(masks.size());
        for (std::int64_t key = 0; key < first.key_len(); ++key) {
          for (std::size_t m = 0; m < rows.size(); ++m) {
            values[m] = rows[m][static_cast<std::size_t>(key)];
          }
          const std::string text = finding(values);
          if (!text.empty()) found.add({b, h, query, key}, text);
        }
      }
    }
  }
  append(violations, found.violations());
}

// Roundings of a few operations in float32.
constexpr float kRounding = 4e-7F;

void check_sampled_union(const Mask& a,
                         const Mask& b,
                         const Mask& c,
                         const MaskAlgebra& algebra,
                         Violations& violations) {
  const Mask united = algebra.union_of(a, b);
  const Mask left = algebra.union_of(united, c);
  const Mask right = algebra.union_of(a, algebra.union_of(b, c));
  require_each("union associates within rounding", {&left, &right}, violations,
               [](const std::vector<float>& p) -> std::string {
                 if (std::abs(p[0] - p[1]) <= kRounding * p[0] && (p[0] == 1) == (p[1] == 1)) {
                   return "";
                 }
                 return fmt::format("(a + b) + c is {}, a + (b + c) is {}", p[0], p[1]);
               });
  require_each("union is no smaller than an operand, and 1 exactly where one is", {&a, &b, &united},
               violations, [](const std::vector<float>& p) -> std::string {
                 const bool is_one = p[0] == 1 || p[1] == 1;
                 if (p[2] >= std::max(p[0], p[1]) && (p[2] == 1) == is_one) return "";
                 return fmt::format("the union of {} and {} is {}", p[0], p[1], p[2]);
               });
  const Mask more = algebra.union_of(algebra.union_of(a, c), b);
  require_each("union is monotone", {&united, &more}, violations,
               [](const std::vector<float>& p) -> std::string {
                 if (p[1] >= p[0] * (1 - kRounding)) return "";
                 return fmt::format("it is {}, and {} with a larger operand", p[0], p[1]);
               });
}

// The complement of a mask with sampled entries is not defined.
void check_refusal(const Mask& mask, const MaskAlgebra& algebra, Violations& violations) {
  if (!mask.has_sampled()) return;
  try {
    algebra.complement_of(mask);
  } catch (const ShapeError&) {
    return;
  }
  violations.push_back({"the complement of a mask with sampled entries is refused",
                        {},
                        fmt::format("the mask has {} sampled entries and its complement was given",
                                    mask.sampled_count())});
}

}  // namespace

MaskAlgebra::MaskAlgebra()
    : union_of(maskerade::union_of),
      intersection_of(maskerade::intersection_of),
      difference_of(maskerade::difference_of),
      complement_of(maskerade::complement_of),
      support_of(maskerade::support_of),
      is_subset(maskerade::is_subset) {}

Violations check_lattice_laws(const Mask& a,
                              const Mask& b,
                              const Mask& c,
                              const MaskAlgebra& algebra) {
  if (a.has_sampled() || b.has_sampled() || c.has_sampled()) {
    throw Error(
        "the laws of the lattice hold for masks without sampled entries; take supports, or "
        "check_sampled_laws");
  }
  const auto& unite = algebra.union_of;
  const auto& meet = algebra.intersection_of;
  const auto& complement = algebra.complement_of;
  const Mask empty = Mask::empty(a.visibility(), a.extent());
  const Mask full = Mask::full(a.visibility(), a.extent());
  const Mask not_a = complement(a);
  Violations found;
  require_same("union is idempotent", unite(a, a), a, found);
  require_same("intersection is idempotent", meet(a, a), a, found);
  require_same("union commutes", unite(a, b), unite(b, a), found);
  require_same("intersection commutes", meet(a, b), meet(b, a), found);
  require_same("union associates", unite(unite(a, b), c), unite(a, unite(b, c)), found);
  require_same("intersection associates", meet(meet(a, b), c), meet(a, meet(b, c)), found);
  require_same("union absorbs intersection", unite(a, meet(a, b)), a, found);
  require_same("intersection absorbs union", meet(a, unite(a, b)), a, found);
  require_same("intersection distributes over union", meet(a, unite(b, c)),
               unite(meet(a, b), meet(a, c)), found);
  require_same("union distributes over intersection", unite(a, meet(b, c)),
               meet(unite(a, b), unite(a, c)), found);
  require_same("the complement of a union is the intersection of complements",
               complement(unite(a, b)), meet(not_a, complement(b)), found);
  require_same("the complement of an intersection is the union of complements",
               complement(meet(a, b)), unite(not_a, complement(b)), found);
  require_same("complement is an involution", complement(not_a), a, found);
  require_same("a mask and its complement make everything visible", unite(a, not_a), full, found);
  require_same("a mask and its complement share nothing", meet(a, not_a), empty, found);
  require_same("the complement of nothing is everything visible", complement(empty), full, found);
  require_same("difference is the intersection with the complement", algebra.difference_of(a, b),
               meet(a, complement(b)), found);
  require_same("a mask without itself is empty", algebra.difference_of(a, a), empty, found);
  append(found, check_sampled_laws(a, b, c, algebra));
  return found;
}

Violations check_sampled_laws(const Mask& a,
                              const Mask& b,
                              const Mask& c,
                              const MaskAlgebra& algebra) {
  const auto& unite = algebra.union_of;
  const auto& meet = algebra.intersection_of;
  const auto& without = algebra.difference_of;
  const auto& support = algebra.support_of;
  const Mask empty = Mask::empty(a.visibility(), a.extent());
  const Mask full = Mask::full(a.visibility(), a.extent());
  const Mask united = unite(a, b);
  const Mask common = meet(a, b);
  const Mask rest = without(a, b);
  Violations found;
  require_same("union commutes", united, unite(b, a), found);
  require_same("intersection commutes", common, meet(b, a), found);
  check_sampled_union(a, b, c, algebra, found);
  require_each("intersection is no larger than an operand", {&a, &b, &common}, found,
               [](const std::vector<float>& p) -> std::string {
                 if (p[2] <= std::min(p[0], p[1])) return "";
                 return fmt::format("the intersection of {} and {} is {}", p[0], p[1], p[2]);
               });
  require_same("union with nothing changes nothing", unite(a, empty), a, found);
  require_same("union with everything is everything", unite(a, full), full, found);
  require_same("intersection with everything changes nothing", meet(a, full), a, found);
  require_same("intersection with nothing is empty", meet(a, empty), empty, found);
  require_same("a mask without nothing is itself", without(a, empty), a, found);
  require_same("a mask without everything is empty", without(a, full), empty, found);
  require_same("the support of a union is the union of supports", support(united),
               unite(support(a), support(b)), found);
  require_same("the support of an intersection is the intersection of supports", support(common),
               meet(support(a), support(b)), found);
  require_same("the support of a difference is the difference of supports", support(rest),
               without(support(a), support(b)), found);
  require_true("a support has no sampled entries", !support(a).has_sampled(), found);
  require_true("nothing is a subset of every mask", algebra.is_subset(empty, a), found);
  require_true("every mask is a subset of everything visible", algebra.is_subset(a, full), found);
  require_true("a mask is a subset of itself", algebra.is_subset(a, a), found);
  require_true("a mask is a subset of its unions", algebra.is_subset(a, united), found);
  require_true("an intersection is a subset of its operands", algebra.is_subset(common, a), found);
  require_true("a difference is a subset of its first operand", algebra.is_subset(rest, a), found);
  require_true("a subset is what leaves no difference", algebra.is_subset(a, b) == (rest == empty),
               found);
  check_refusal(a, algebra, found);
  return found;
}

Violations check_operations_entry_by_entry(const Mask& a,
                                           const Mask& b,
                                           const MaskAlgebra& algebra) {
  Violations found;
  const std::vector<float> p_of_a = to_dense(a);
  const std::vector<float> p_of_b = to_dense(b);
  const auto require = [&](const char* rule, const Mask& result,
                           double (*definition)(double, double)) {
    append(found, check_canonical_form(result));
    require_each(rule, {&a, &b, &result}, found, [&](const std::vector<float>& p) -> std::string {
      const auto expected = static_cast<float>(definition(double{p[0]}, double{p[1]}));
      if (p[2] == expected) return "";
      return fmt::format("of {} and {} it gives {}; by its definition it is {}", p[0], p[1], p[2],
                         expected);
    });
  };
  // What rounds to 1 or to 0 in float32 is the nearest probability of a sampled entry. The union is
  // summed so that small probabilities keep their digits: the product is exact.
  require("union is 1 - (1 - p)(1 - p')", algebra.union_of(a, b), [](double p, double q) {
    const double united = p + q - p * q;
    return p == 1 || q == 1 ? united : std::min(united, double{std::nextafter(1.0F, 0.0F)});
  });
  require("intersection multiplies", algebra.intersection_of(a, b), [](double p, double q) {
    return p == 0 || q == 0 ? 0 : std::max(p * q, double{std::numeric_limits<float>::denorm_min()});
  });
  require("difference removes what is active", algebra.difference_of(a, b),
          [](double p, double q) { return q > 0 ? 0 : p; });
  require("a support is 1 where a mask is active", algebra.support_of(a),
          [](double p, double) { return p > 0 ? 1.0 : 0.0; });
  require_true("an operation leaves its operands as they were",
               to_dense(a) == p_of_a && to_dense(b) == p_of_b, found);
  return found;
}

}  // namespace maskerade::rules
