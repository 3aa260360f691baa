#include "framework/tensor_files/npy.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/base/philox.hpp"
#include "tests/framework/tensor_files/npy_for_test.hpp"
#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade {
namespace {

const std::string kShape = "(1, 2, 3, 1)";
const std::vector<float> kValues = {1, 2, 3, 4, 5, 6};

class Npy : public testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "x.npy"; }

  NpyFile open(const std::string& bytes) const {
    write_file(file(), bytes);
    return NpyFile::open(file());
  }

  // The message of the error when such a file is opened and read as a tensor; "accepted" without
  // one.
  std::string error(const std::string& bytes) const {
    return message([&] { open(bytes).tensor(TensorLayout::kBhld); });
  }

  template <typename Body>
  std::string message(const Body& body) const {
    try {
      body();
    } catch (const DataError& error) {
      return folder_.shorten(error.what());
    }
    return "accepted";
  }

  DataFolder folder_;
};

TEST_F(Npy, EveryVersionAndTypeIsRead) {
  for (const int major : {1, 2, 3}) {
    for (const auto& [descr, dtype] :
         {std::pair("<f4", DType::kFloat32), std::pair("<f2", DType::kFloat16)}) {
      const NpyFile file =
          open(npy_start(npy_header(descr, kShape), major) + bytes_of(dtype, kValues));
      EXPECT_EQ(file.descr(), descr);
      EXPECT_EQ(file.shape(), (std::vector<std::int64_t>{1, 2, 3, 1}));
      const Tensor tensor = file.tensor(TensorLayout::kBhld);
      EXPECT_EQ(tensor.view().dtype, dtype);
      EXPECT_EQ(tensor.view().heads, 2);
      EXPECT_EQ(tensor.view().length, 3);
      EXPECT_EQ(load_float(dtype, tensor.view().row(0, 1, 1), 0), 5);
    }
  }
}

TEST_F(Npy, BothLayoutsHoldTheSameNumbers) {
  const NpyFile file =
      open(npy_start(npy_header("<f4", "(2, 3, 1)")) + bytes_of(DType::kFloat32, kValues));
  const Tensor heads_first = file.tensor(TensorLayout::kBhld);
  const Tensor heads_last = file.tensor(TensorLayout::kBlhd);
  for (std::size_t i = 0; i < kValues.size(); ++i) {
    EXPECT_EQ(load_float(DType::kFloat32, heads_first.view().data, i), kValues[i]);
    EXPECT_EQ(load_float(DType::kFloat32, heads_last.view().data, i), kValues[i]);
  }
  EXPECT_EQ(heads_last.view().batch, 1);
  EXPECT_EQ(heads_last.view().heads, 3);
  EXPECT_EQ(heads_last.view().length, 2);
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t h = 0; h < 3; ++h) {
      EXPECT_EQ(load_float(DType::kFloat32, heads_last.view().row(0, h, i), 0),
                kValues[static_cast<std::size_t>(i * 3 + h)]);
    }
  }
}

TEST_F(Npy, ATensorOutlivesItsFileObjectAndIsAligned) {
  for (std::size_t spaces = 0; spaces < 4; ++spaces) {
    const Tensor tensor = open(npy_start(npy_header("<f4", kShape) + std::string(spaces, ' ')) +
                               bytes_of(DType::kFloat32, kValues))
                              .tensor(TensorLayout::kBhld);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().data) % sizeof(float), 0U);
    EXPECT_EQ(static_cast<const float*>(tensor.view().data)[5], 6);
  }
}

TEST_F(Npy, IntegersAreReadWhateverTheirWidth) {
  const std::vector<std::int64_t> values = {-1, 0, 2147483647};
  std::string wide(24, '\0');
  std::memcpy(wide.data(), values.data(), wide.size());
  EXPECT_EQ(open(npy_start(npy_header("<i8", "(3,)")) + wide).integers(), values);
  std::string narrow(12, '\0');
  for (std::size_t i = 0; i < 3; ++i) std::memcpy(&narrow[4 * i], &wide[8 * i], 4);
  EXPECT_EQ(open(npy_start(npy_header("<i4", "(3,)")) + narrow).integers(), values);
  EXPECT_EQ(message([&] { open(npy_start(npy_header("<f4", "(1,)")) + "abcd").integers(); }),
            "x.npy: its type is <f4; it must be <i8 or <i4");
}

TEST_F(Npy, HeadersAreReadInAnyOrderAndQuotes) {
  const std::string data = bytes_of(DType::kFloat32, kValues);
  EXPECT_EQ(
      error(npy_start("{\"shape\":(6 , 1,1),\"descr\":\"<f4\",\"fortran_order\":False}") + data),
      "accepted");
}

TEST_F(Npy, FilesThatAreNoneAreRefused) {
  EXPECT_EQ(message([&] { NpyFile::open(file()); }).substr(0, 36),
            "x.npy: the file cannot be opened (No");
  const std::string no_magic =
      "x.npy: this is no npy file: it does not begin with the magic \\x93NUMPY (an .npz file is an "
      "archive of npy files: unpack it)";
  EXPECT_EQ(error(""), no_magic);
  EXPECT_EQ(error("PK\3\4 an archive"), no_magic);
  EXPECT_EQ(error("\x93NUMP"),
            "x.npy: the file has 5 bytes; an npy file begins with at least 10: magic, version and "
            "header length");
  EXPECT_EQ(error(std::string("\x93NUMPY\x02\0\x01\0", 10)),
            "x.npy: the file has 10 bytes; a version 2.0 file begins with at least 12: magic, "
            "version and header length");
  EXPECT_EQ(error(std::string("\x93NUMPY\x04\0\x01\0\0\0", 12)),
            "x.npy: its format version is 4.0; versions 1.0, 2.0 and 3.0 are read");
  EXPECT_EQ(error(std::string("\x93NUMPY\x01\x01\x01\0\0\0", 12)),
            "x.npy: its format version is 1.1; versions 1.0, 2.0 and 3.0 are read");
  EXPECT_EQ(error(std::string("\x93NUMPY\x01\0\x76\0{}", 12)),
            "x.npy: the file says that its header has 118 bytes, but only 2 follow: the file is "
            "truncated, or no npy file");
  EXPECT_EQ(error(std::string("\x93NUMPY\x03\0\xFF\xFF\xFF\xFF{}", 14)),
            "x.npy: the file says that its header has 4294967295 bytes, but only 2 follow: the "
            "file is truncated, or no npy file");
  EXPECT_EQ(error(std::string("\x93NUMPY\x02\0\x41\x42\x0F\0", 12) + std::string(1'000'001, ' ')),
            "x.npy: the file says that its header has 1000001 bytes; the limit is 1000000");
  std::filesystem::remove(file());
  std::filesystem::create_directory(file());
  EXPECT_EQ(message([&] { NpyFile::open(file()); }), "x.npy: this is no regular file");
}

TEST_F(Npy, BadHeadersAreRefused) {
  struct Bad {
    std::string header;
    std::string message;
  };
  const std::string no_dictionary = "the header is no dictionary that NumPy writes: at byte ";
  const std::vector<Bad> cases = {
      {"", no_dictionary + "0 there must be '{'"},
      {"[1, 2]", no_dictionary + "0 there must be '{'"},
      {"{", no_dictionary + "1 there must be a key in quotes"},
      {"{'descr", no_dictionary + "1 there must be a key in quotes"},
      {"{'descr' '<f4'}", no_dictionary + "9 there must be ':'"},
      {"{'descr': <f4}",
       no_dictionary + "10 there must be an element type in quotes, such as '<f4'"},
      {"{'descr': '\\x3cf4'}",
       no_dictionary + "10 there must be an element type in quotes, such as '<f4'"},
      {"{'fortran_order': false}", no_dictionary + "18 there must be True or False"},
      {"{'shape': [2, 3]}", no_dictionary + "10 there must be '('"},
      {"{'shape': (2, -3)}", no_dictionary + "14 there must be a size: a whole number from 0"},
      {"{'shape': (2.5,)}", no_dictionary + "12 there must be ')'"},
      {"{'shape': (99999999999999999999,)}",
       no_dictionary + "11 there must be a size: a whole number from 0"},
      {"{'shape': (2, 3}", no_dictionary + "15 there must be ')'"},
      {"{'descr': '<f4' 'shape': (2,)}", no_dictionary + "16 there must be '}'"},
      {npy_header("<f4", kShape) + "x", no_dictionary + "118 there must be the end of the header"},
      {"{'descr': '<f4', 'descr': '<f4'}", "the header has 'descr' twice"},
      {"{'order': 'C'}",
       "the header has the key 'order'; its keys are descr, fortran_order and shape"},
      {"{'descr': '<f4', 'shape': (6,)}", "the header has no 'fortran_order'"},
      {"{'descr': '<f4', 'fortran_order': False}", "the header has no 'shape'"},
      {"{}", "the header has no 'descr'"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}",
       "the array is one of records; it must be one of <f4 or <f2 numbers"},
  };
  for (const Bad& bad : cases) {
    EXPECT_EQ(error(npy_start(bad.header) + bytes_of(DType::kFloat32, kValues)),
              "x.npy: " + bad.message)
        << bad.header;
  }
  std::string axes;
  for (int i = 0; i < 65; ++i) axes += "1,";
  EXPECT_EQ(error(npy_start(npy_header("<f4", "(" + axes + ")"))),
            "x.npy: the header's shape has more than 64 axes");
}

TEST_F(Npy, ArraysThatCannotBeUsedAreRefused) {
  const std::string data = bytes_of(DType::kFloat32, kValues);
  const auto typed = [&](const std::string& descr) {
    return error(npy_start(npy_header(descr, kShape)) + data);
  };
  EXPECT_EQ(typed(">f4"),
            "x.npy: its type >f4 is big-endian; only little-endian arrays are read: save "
            "x.astype(x.dtype.newbyteorder('<'))");
  EXPECT_EQ(typed("|V2"),
            "x.npy: its type is |V2: npy has no bfloat16; store bfloat16 in a safetensors file, or "
            "save float32 or float16");
  EXPECT_EQ(typed("<c8"),
            "x.npy: its type '<c8' is not read; use <f4 or <f2, or a safetensors file");
  EXPECT_EQ(typed("\1\xFF"),
            "x.npy: its type '\?\?' is not read; use <f4 or <f2, or a safetensors file");
  EXPECT_EQ(error(npy_start(npy_header("<f8", "(1, 1, 3)")) + data),
            "x.npy: its type is <f8; it must be <f4 or <f2");
  EXPECT_EQ(
      error(npy_start("{'descr': '<f4', 'fortran_order': True, 'shape': (6, 1, 1), }") + data),
      "x.npy: the array is in Fortran order; save it in C order: numpy.save(file, "
      "numpy.ascontiguousarray(x))");
  const auto shaped = [&](const std::string& shape) {
    return error(npy_start(npy_header("<f4", shape)) + data);
  };
  EXPECT_EQ(shaped("(2, 3)"),
            "x.npy: its shape is (2, 3); it must be [batch, heads, length, head_dim] or [heads, "
            "length, head_dim], each at least 1");
  EXPECT_EQ(shaped("(1, 1, 1, 1, 6)"),
            "x.npy: its shape is (1, 1, 1, 1, 6); it must be [batch, heads, length, head_dim] or "
            "[heads, length, head_dim], each at least 1");
  EXPECT_EQ(shaped("(2, 3, 2)"),
            "x.npy: shape (2, 3, 2) of <f4 takes 48 bytes, but 24 follow the header");
  EXPECT_EQ(shaped("(1, 1, 5)"),
            "x.npy: shape (1, 1, 5) of <f4 takes 20 bytes, but 24 follow the header");
  EXPECT_EQ(shaped("(4294967296, 4294967296, 4294967296)"),
            "x.npy: shape (4294967296, 4294967296, 4294967296) of <f4 takes too many bytes, but 24 "
            "follow the header");
  EXPECT_EQ(error(npy_start(npy_header("<f4", "(1, 0, 2)"))),
            "x.npy: its shape is (1, 0, 2); it must be [batch, heads, length, head_dim] or [heads, "
            "length, head_dim], each at least 1");
  EXPECT_EQ(message([&] {
              open(npy_start(npy_header("<f4", "(6,)")) + data).tensor(TensorLayout::kBlhd);
            }),
            "x.npy: its shape is (6); it must be [batch, length, heads, head_dim] or [length, "
            "heads, head_dim], each at least 1");
}

// Whatever bytes a file has, reading it gives a tensor or a DataError.
TEST_F(Npy, DamagedFilesNeverCrash) {
  const std::string good =
      npy_start(npy_header("<f4", kShape)) + bytes_of(DType::kFloat32, kValues);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(error(good.substr(0, size)), "accepted");
  }
  const RandomField random({.seed = 1});
  for (std::uint64_t round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (std::uint32_t change = 0; change < 1 + round % 3; ++change) {
      bytes[random.bits(round, 2 * change) % bytes.size()] =
          static_cast<char>(random.bits(round, 2 * change + 1));
    }
    error(bytes);
  }
}

}  // namespace
}  // namespace maskerade
