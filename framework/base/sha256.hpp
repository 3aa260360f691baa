#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace maskerade {

// The SHA-256 of bytes that come in pieces (FIPS 180-4). How they are cut changes nothing.
class Sha256 {
 public:
  static constexpr std::size_t kDigestBytes = 32;
  using Digest = std::array<std::uint8_t, kDigestBytes>;

  void update(const void* data, std::size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }

  // The digest of everything so far. The object is used up.
  Digest finish();
  // The same as 64 lower-case hexadecimal digits.
  std::string finish_hex();

 private:
  static constexpr std::size_t kBlockBytes = 64;

  void compress(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, kBlockBytes> pending_ = {};
  std::uint64_t bytes_ = 0;  // told so far; bytes_ % kBlockBytes of them are pending
};

// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view text);
// Of a file's content, read in pieces. Throws DataError when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace maskerade
