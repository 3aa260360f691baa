#include "framework/base/sha256.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// The known answers of NIST's examples for FIPS 180-4.
TEST(Sha256, OfNothing) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, OfOneBlock) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfAMessageWhosePaddingNeedsASecondBlock) {
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, OfAMillionBytesInUnevenPieces) {
  const std::string text(1'000'000, 'a');
  Sha256 hash;
  std::size_t begin = 0;
  for (std::size_t piece = 0; begin < text.size(); piece = (piece * 7 + 1) % 1009) {
    const std::string_view part = std::string_view(text).substr(begin, piece);
    hash.update(part);
    begin += part.size();
  }
  EXPECT_EQ(hash.finish_hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PadsEveryLengthAroundABlock) {
  // The digest of the digests of texts of 0 to 130 bytes, one after the other; Python's hashlib
  // gave what is expected.
  Sha256 all;
  for (std::size_t length = 0; length <= 130; ++length) {
    all.update(sha256_hex(std::string(length, 'x')));
  }
  EXPECT_EQ(all.finish_hex(), "87aca1c44bc7ba8897768170211f0a02063de70801131ff86c7edb9ce32c6a50");
}

TEST(Sha256, OfAFileIsThatOfItsContent) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "sha256_test.bin";
  std::ofstream(file, std::ios::binary) << "abc";
  EXPECT_EQ(sha256_of_file(file), sha256_hex("abc"));
  std::filesystem::remove(file);
}

TEST(Sha256, NamesAFileThatCannotBeRead) {
  try {
    sha256_of_file("/nowhere/file.bin");
    FAIL() << "read";
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(),
                 "/nowhere/file.bin: cannot be read; name a file that exists and is readable");
  }
  EXPECT_THROW(sha256_of_file("/"), DataError);
  const std::filesystem::path pipe = std::filesystem::path(testing::TempDir()) / "sha256_test.pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(sha256_of_file(pipe), DataError) << "without waiting for a writer";
  std::filesystem::remove(pipe);
}

}  // namespace
}  // namespace maskerade
