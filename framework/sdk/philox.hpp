// Random numbers without state, the same on every device.
#pragma once

#include <cstdint>

#include "framework/sdk/anywhere.hpp"

namespace maskerade::sdk {

// What Philox 4x32-10 is made of, for those that compute many of its numbers at once.
struct Philox {
  static constexpr int kRounds = 10;
  static constexpr std::uint32_t kMultiplier0 = 0xD2511F53U;
  static constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57U;
  static constexpr std::uint32_t kWeyl0 = 0x9E3779B9U;
  static constexpr std::uint32_t kWeyl1 = 0xBB67AE85U;
};

struct PhiloxWords {
  std::uint32_t words[4];
};

// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four
// random 32-bit words from a 128-bit counter and a 64-bit key.
MASKERADE_SDK_ANYWHERE PhiloxWords philox(PhiloxWords counter,
                                          std::uint32_t key0,
                                          std::uint32_t key1) {
  PhiloxWords c = counter;
  for (int round = 0; round < Philox::kRounds; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(Philox::kMultiplier0) * c.words[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(Philox::kMultiplier1) * c.words[2];
    c = {{static_cast<std::uint32_t>(product1 >> 32) ^ c.words[1] ^ key0,
          static_cast<std::uint32_t>(product1),
          static_cast<std::uint32_t>(product0 >> 32) ^ c.words[3] ^ key1,
          static_cast<std::uint32_t>(product0)}};
    key0 += Philox::kWeyl0;
    key1 += Philox::kWeyl1;
  }
  return c;
}

// What every random number is a function of, beside (row, column).
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // the masker's place in the pipeline, or a tensor of a data source
  std::uint32_t layer = 0;
  std::uint32_t batch = 0;
  std::uint32_t head = 0;
  std::uint32_t purpose = 0;
};

// The random words of one RandomKey, addressed by (row, column): row is an absolute position,
// column a key or an element. Its seven parts are folded by Philox itself into the 64-bit key and
// 32 bits of the counter; 96 counter bits remain for (row, column). Keys collide with probability
// 2^-96.
class RandomWords {
 public:
  MASKERADE_SDK_ANYWHERE explicit RandomWords(const RandomKey& key) {
    const PhiloxWords first =
        philox({{key.stream, key.layer, key.batch, key.head}}, static_cast<std::uint32_t>(key.seed),
               static_cast<std::uint32_t>(key.seed >> 32));
    const PhiloxWords second =
        philox({{key.purpose, first.words[2], first.words[3], 0}}, first.words[0], first.words[1]);
    key0_ = second.words[0];
    key1_ = second.words[1];
    salt_ = second.words[2];
  }

  MASKERADE_SDK_ANYWHERE PhiloxWords block(std::uint64_t row, std::uint32_t column) const {
    return philox(
        {{column, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32), salt_}},
        key0_, key1_);
  }
  // 32 random bits.
  MASKERADE_SDK_ANYWHERE std::uint32_t bits(std::uint64_t row, std::uint32_t column) const {
    return block(row, column).words[0];
  }
  // Uniform in [0, 1), a multiple of 2^-53.
  MASKERADE_SDK_ANYWHERE double uniform(std::uint64_t row, std::uint32_t column) const {
    const PhiloxWords random = block(row, column);
    const std::uint64_t bits53 =
        (static_cast<std::uint64_t>(random.words[0]) << 21) | (random.words[1] >> 11);
    return static_cast<double>(bits53) * (1.0 / 9007199254740992.0);
  }

 protected:
  std::uint32_t key0_;
  std::uint32_t key1_;
  std::uint32_t salt_;
};

}  // namespace maskerade::sdk
