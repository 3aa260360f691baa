#include "framework/tensor_files/safetensors.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade {
namespace {

std::string open_error(const DataFolder& folder) {
  try {
    SafetensorsFile::open(folder.file());
  } catch (const DataError& error) {
    return folder.shorten(error.what());
  }
  return "accepted";
}

std::string tensor_error(const DataFolder& folder, const std::string& name) {
  try {
    SafetensorsFile::open(folder.file()).tensor(name);
  } catch (const DataError& error) {
    return folder.shorten(error.what());
  }
  return "accepted";
}

// The header of a file with one tensor, "q", that has these fields.
std::string one_tensor(const std::string& dtype,
                       const std::string& shape,
                       const std::string& offsets) {
  return R"({"q":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TEST(Safetensors, TensorsAndMetadataAreRead) {
  const DataFolder folder;
  folder.write(R"({"__metadata__":{"layer":"3","note":"a"},)"
               R"("b":{"dtype":"F32","shape":[1,2,2,1],"data_offsets":[0,16]},)"
               R"("a":{"dtype":"F16","shape":[2,1,2],"data_offsets":[16,24]},)"
               R"("list":{"dtype":"I64","shape":[2],"data_offsets":[24,40]}}   )",
               bytes_of(DType::kFloat32, {1, 2, 3, 4}) + bytes_of(DType::kFloat16, {5, 6, 7, 8}) +
                   std::string(16, '\1'));
  const SafetensorsFile file = SafetensorsFile::open(folder.file());
  ASSERT_EQ(file.entries().size(), 3U);
  EXPECT_EQ(file.entries()[0].name, "a");
  EXPECT_EQ(file.entries()[1].name, "b");
  EXPECT_EQ(file.entries()[2].dtype, "I64");
  EXPECT_EQ(file.metadata().at("layer"), "3");

  const Tensor b = file.tensor("b");
  EXPECT_EQ(b.view().dtype, DType::kFloat32);
  EXPECT_EQ(b.view().batch, 1);
  EXPECT_EQ(b.view().heads, 2);
  EXPECT_EQ(b.view().length, 2);
  EXPECT_EQ(b.view().dim, 1);
  EXPECT_EQ(load_float(DType::kFloat32, b.view().row(0, 1, 0), 0), 3);

  const Tensor a = file.tensor("a");
  EXPECT_EQ(a.view().batch, 1);
  EXPECT_EQ(a.view().heads, 2);
  EXPECT_EQ(a.view().length, 1);
  EXPECT_EQ(a.view().dim, 2);
  EXPECT_EQ(load_float(DType::kFloat16, a.view().row(0, 1, 0), 1), 8);
}

TEST(Safetensors, ATensorOutlivesItsFileObject) {
  const DataFolder folder;
  folder.write(one_tensor("F32", "[1,1,1]", "[0,4]"), bytes_of(DType::kFloat32, {42}));
  const Tensor tensor = SafetensorsFile::open(folder.file()).tensor("q");
  EXPECT_EQ(load_float(DType::kFloat32, tensor.view().data, 0), 42);
}

TEST(Safetensors, ATensorIsACopyOfItsFile) {
  const DataFolder folder;
  folder.write(one_tensor("F32", "[1,1,1]", "[0,4]"), bytes_of(DType::kFloat32, {42}));
  const SafetensorsFile file = SafetensorsFile::open(folder.file());
  const Tensor tensor = file.tensor("q");
  std::filesystem::resize_file(folder.file(), std::filesystem::file_size(folder.file()) - 4);
  EXPECT_EQ(load_float(DType::kFloat32, tensor.view().data, 0), 42);
  try {
    file.tensor("q");
    FAIL() << "accepted";
  } catch (const DataError& error) {
    const std::string left = std::to_string(std::filesystem::file_size(folder.file()));
    const std::string all = std::to_string(std::filesystem::file_size(folder.file()) + 4);
    EXPECT_EQ(folder.shorten(error.what()), "x.safetensors: the file was cut while it was read: " +
                                                all + " bytes were there, now " + left + " are");
  }
}

TEST(Safetensors, ADescriptionIsATensorWithoutData) {
  const DataFolder folder;
  folder.write(one_tensor("F16", "[2,3,1]", "[0,12]"),
               bytes_of(DType::kFloat16, std::vector<float>(6, 1)));
  const TensorView view = SafetensorsFile::open(folder.file()).describe("q", TensorLayout::kBlhd);
  EXPECT_EQ(view.data, nullptr);
  EXPECT_EQ(view.dtype, DType::kFloat16);
  EXPECT_EQ(view.heads, 3);
  EXPECT_EQ(view.length, 2);
}

TEST(Safetensors, TensorsAreAligned) {
  const DataFolder folder;
  for (std::size_t spaces = 0; spaces < 4; ++spaces) {
    folder.write(one_tensor("F32", "[1,1,2]", "[0,8]") + std::string(spaces, ' '),
                 bytes_of(DType::kFloat32, {1.5F, -2}));
    const Tensor tensor = SafetensorsFile::open(folder.file()).tensor("q");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().data) % sizeof(float), 0U);
    EXPECT_EQ(static_cast<const float*>(tensor.view().data)[0], 1.5F);
    EXPECT_EQ(static_cast<const float*>(tensor.view().data)[1], -2);
  }
}

TEST(Safetensors, FilesThatAreNoneAreRefused) {
  const DataFolder folder;
  EXPECT_EQ(open_error(folder).substr(0, 43), "x.safetensors: the file cannot be opened (N");
  folder.write_bytes("abc");
  EXPECT_EQ(open_error(folder),
            "x.safetensors: the file has 3 bytes; a safetensors file begins with 8 bytes of header "
            "length");
  folder.write_bytes("a text that is not a tensor file");
  EXPECT_EQ(open_error(folder),
            "x.safetensors: the file says that its header has 8367816168101388385 bytes; 24 follow "
            "and the limit is 100000000, so this is no safetensors file or a truncated one");
  folder.write_bytes(std::string("\x10\0\0\0\0\0\0\0{}", 10));
  EXPECT_EQ(open_error(folder),
            "x.safetensors: the file says that its header has 16 bytes; 2 follow and the limit is "
            "100000000, so this is no safetensors file or a truncated one");
  std::filesystem::remove(folder.file());
  std::filesystem::create_directory(folder.file());
  EXPECT_EQ(open_error(folder), "x.safetensors: this is no regular file");
}

TEST(Safetensors, BadHeadersAreRefused) {
  struct Bad {
    std::string header;
    std::string message;
  };
  const std::vector<Bad> cases = {
      {"[]", "x.safetensors: the header is not a JSON object of tensors"},
      {R"({"q":3})", "x.safetensors: tensor \"q\": its header entry is not an object"},
      {R"({"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("q":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "x.safetensors: the header has \"q\" twice"},
      {R"({"q":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}})",
       "x.safetensors: the header has \"dtype\" twice"},
      {R"({"q":{"shape":[2],"data_offsets":[0,8]}})",
       "x.safetensors: tensor \"q\": its header entry has no dtype"},
      {R"({"q":{"dtype":"F32","data_offsets":[0,8]}})",
       "x.safetensors: tensor \"q\": its header entry has no shape"},
      {R"({"q":{"dtype":"F32","shape":[2]}})",
       "x.safetensors: tensor \"q\": its header entry has no data_offsets"},
      {R"({"q":{"dtype":32,"shape":[2],"data_offsets":[0,8]}})",
       "x.safetensors: tensor \"q\": dtype is not a string"},
      {one_tensor("F32", "[-2]", "[0,8]"),
       "x.safetensors: tensor \"q\": shape is not a list of whole numbers"},
      {one_tensor("F32", "[2.0]", "[0,8]"),
       "x.safetensors: tensor \"q\": shape is not a list of whole numbers"},
      {one_tensor("F32", "2", "[0,8]"),
       "x.safetensors: tensor \"q\": shape is not a list of whole numbers"},
      {one_tensor("F32", "[2]", "[0,8,9]"),
       "x.safetensors: tensor \"q\": data_offsets is not a pair of whole numbers"},
      {one_tensor("F32", "[2]", "[0,-8]"),
       "x.safetensors: tensor \"q\": data_offsets is not a pair of whole numbers"},
      {one_tensor("F32", "[4]", "[0,16]"),
       "x.safetensors: tensor \"q\": data_offsets [0, 16] do not lie in the data, which has 8 "
       "bytes"},
      {one_tensor("F32", "[2]", "[8,0]"),
       "x.safetensors: tensor \"q\": data_offsets [8, 0] do not lie in the data, which has 8 "
       "bytes"},
      {one_tensor("F16", "[2]", "[0,8]"),
       "x.safetensors: tensor \"q\": shape [2] of F16 takes 4 bytes, but data_offsets give 8"},
      {one_tensor("F32", "[4294967296, 4294967296, 4294967296]", "[0,8]"),
       "x.safetensors: tensor \"q\": shape [4294967296, 4294967296, 4294967296] of F32 takes too "
       "many bytes, but data_offsets give 8"},
      {R"({"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},)"
       R"("b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
       "x.safetensors: tensor \"b\": its data begins at byte 4, inside the tensor before it, which "
       "ends at 6"},
      {R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
       "x.safetensors: tensor \"b\": there is a hole before it: bytes 2 to 4 belong to no tensor"},
      {one_tensor("F16", "[2]", "[4,8]"),
       "x.safetensors: tensor \"q\": there is a hole before it: bytes 0 to 4 belong to no tensor"},
      {one_tensor("F16", "[2]", "[0,4]"),
       "x.safetensors: the tensors end at byte 4 of the data, which has 8 bytes"},
      {R"({"__metadata__":[]})", "x.safetensors: __metadata__ is not an object of strings"},
      {R"({"__metadata__":{"layer":3}})", "x.safetensors: __metadata__ \"layer\" is not a string"},
  };
  const DataFolder folder;
  for (const Bad& bad : cases) {
    folder.write(bad.header, std::string(8, '\0'));
    EXPECT_EQ(open_error(folder), bad.message) << bad.header;
  }
  for (const std::string header : {"", "{", "{\"q\":}", "\xFF\xFE", "{} x"}) {
    folder.write(header, "");
    EXPECT_EQ(open_error(folder).substr(0, 46), "x.safetensors: the header is not valid JSON ([")
        << header;
  }
}

TEST(Safetensors, TensorsThatCannotBeUsedAreRefused) {
  const DataFolder folder;
  folder.write(R"({"query":{"dtype":"F32","shape":[1,1,2],"data_offsets":[0,8]},)"
               R"("wide":{"dtype":"F64","shape":[1,1,1],"data_offsets":[8,16]},)"
               R"("new":{"dtype":"F4","shape":[1,1,4],"data_offsets":[16,18]},)"
               R"("flat":{"dtype":"F16","shape":[2],"data_offsets":[18,22]},)"
               R"("none":{"dtype":"F16","shape":[1,0,2],"data_offsets":[22,22]}})",
               std::string(22, '\0'));
  EXPECT_EQ(tensor_error(folder, "query"), "accepted");
  EXPECT_EQ(
      tensor_error(folder, "qery"),
      "x.safetensors: tensor \"qery\": there is no such tensor; the file has: flat, new, none, "
      "query, wide; did you mean \"query\"?");
  EXPECT_EQ(
      tensor_error(folder, "zzz"),
      "x.safetensors: tensor \"zzz\": there is no such tensor; the file has: flat, new, none, "
      "query, wide");
  EXPECT_EQ(tensor_error(folder, "wide"),
            "x.safetensors: tensor \"wide\": its type is F64; it must be F32, F16 or BF16");
  EXPECT_EQ(tensor_error(folder, "new"),
            "x.safetensors: tensor \"new\": its type is F4; it must be F32, F16 or BF16");
  EXPECT_EQ(tensor_error(folder, "flat"),
            "x.safetensors: tensor \"flat\": its shape is [2]; it must be [batch, heads, length, "
            "head_dim] or [heads, length, head_dim], each at least 1");
  EXPECT_EQ(tensor_error(folder, "none"),
            "x.safetensors: tensor \"none\": its shape is [1, 0, 2]; it must be [batch, heads, "
            "length, head_dim] or [heads, length, head_dim], each at least 1");
  folder.write("{}", "");
  EXPECT_EQ(tensor_error(folder, "q"),
            "x.safetensors: tensor \"q\": there is no such tensor; the file has: none");
}

}  // namespace
}  // namespace maskerade
