#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace maskerade {

// Computes the SHA-256 (FIPS 180-4) of bytes that are given piece by piece. Where they are cut into
// pieces does not change the digest.
class Sha256 {
 public:
  static constexpr std::size_t kDigestBytes = 32;
  using Digest = std::array<std::uint8_t, kDigestBytes>;

  // Appends bytes to what is hashed.
  void update(const void* data, std::size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }

  // The digest of all bytes so far. Call it once, as the last call: the object is used up.
  Digest finish();
  // Like finish(), but gives the digest as 64 lower-case hexadecimal digits.
  std::string finish_hex();

 private:
  static constexpr std::size_t kBlockBytes = 64;

  // Updates the state with one block of kBlockBytes.
  void compress(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, kBlockBytes> pending_ = {};
  std::uint64_t bytes_ = 0;  // given so far; the last bytes_ % kBlockBytes of them are in pending_
};

// The SHA-256 of a text, as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view text);
// The SHA-256 of a file's content, as 64 lower-case hexadecimal digits. Throws DataError when the
// file cannot be read.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace maskerade
