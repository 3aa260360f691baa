#include "framework/select/match_bits.hpp"

#include <bit>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/match_bits.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// match_bits() for signatures of kWords words, or of `words` words when kWords is 0. It is compiled
// for each instruction set because each has its own way to count bits.
template <std::size_t kWords>
void match_words(const std::uint64_t* signature,
                 const std::uint64_t* signatures,
                 std::size_t words,
                 std::size_t count,
                 float* matches) {
  const std::size_t length = kWords == 0 ? words : kWords;
  for (std::size_t j = 0; j < count; ++j) {
    int equal = 0;
    for (std::size_t w = 0; w < length; ++w) {
      equal += std::popcount(~(signature[w] ^ signatures[j * length + w]));
    }
    matches[j] = static_cast<float>(equal);
  }
}

void match_bits_of(const std::uint64_t* signature,
                   const std::uint64_t* signatures,
                   std::size_t words,
                   std::size_t count,
                   float* matches) {
  if (words == 1) return match_words<1>(signature, signatures, 1, count, matches);
  if (words == 2) return match_words<2>(signature, signatures, 2, count, matches);
  match_words<0>(signature, signatures, words, count, matches);
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(match_bits_of);

void match_bits(std::span<const std::uint64_t> signature,
                const std::uint64_t* signatures,
                std::span<float> matches) {
  HWY_DYNAMIC_DISPATCH(match_bits_of)
  (signature.data(), signatures, signature.size(), matches.size(), matches.data());
}

}  // namespace maskerade
#endif  // HWY_ONCE
