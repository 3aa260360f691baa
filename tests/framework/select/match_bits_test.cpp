#include "framework/select/match_bits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

TEST(MatchBits, CountsEqualBitsOnEachTarget) {
  std::mt19937_64 engine(3);
  for (const std::size_t words : {1, 2, 3, 5}) {
    for (const std::size_t count : {0, 1, 37}) {
      std::vector<std::uint64_t> signature(words);
      std::vector<std::uint64_t> signatures(words * count);
      for (std::uint64_t& word : signature) word = engine();
      for (std::uint64_t& word : signatures) word = engine();
      if (count > 0) std::copy(signature.begin(), signature.end(), signatures.begin());
      std::vector<float> expected(count);
      for (std::size_t bit = 0; bit < 64 * words * count; ++bit) {
        const std::size_t of_key = bit % (64 * words);
        const std::uint64_t a = signature[of_key / 64] >> (of_key % 64) & 1U;
        const std::uint64_t b = signatures[bit / 64] >> (bit % 64) & 1U;
        expected[bit / (64 * words)] += a == b ? 1.0F : 0.0F;
      }
      for_each_target([&](const char* target) {
        std::vector<float> matches(count);
        match_bits(signature, signatures.data(), matches);
        EXPECT_EQ(matches, expected) << target << ' ' << words;
      });
    }
  }
}

}  // namespace
}  // namespace maskerade
