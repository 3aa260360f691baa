#include "framework/tensor_files/number_tensor.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <limits>

#include "framework/base/error.hpp"
#include "tests/framework/tensor_files/npy_for_test.hpp"
#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade {
namespace {

using Floats = std::vector<float>;
using Integers = std::vector<std::int64_t>;
using Bytes = std::vector<std::uint8_t>;

template <typename Value>
std::string raw(const std::vector<Value>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

// The message of the error when a tensor is read, without the folder's name; "" without an error.
std::string refusal(const DataFolder& folder, const std::string& file, const std::string& name) {
  try {
    read_number_tensor(folder.path() / file, name);
  } catch (const DataError& error) {
    return folder.shorten(error.what());
  }
  return "";
}

TEST(NumberTensor, ReadsEveryTypeOfASafetensorsFile) {
  const DataFolder folder;
  folder.write(R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
               R"("b":{"dtype":"F64","shape":[1,2],"data_offsets":[3,19]},)"
               R"("c":{"dtype":"I32","shape":[2,1],"data_offsets":[19,27]},)"
               R"("d":{"dtype":"BF16","shape":[2],"data_offsets":[27,31]}})",
               raw(Bytes{1, 0, 1}) + raw(std::vector<double>{0.1, -2}) +
                   raw(std::vector<std::int32_t>{-7, 9}) + bytes_of(DType::kBFloat16, {1.5F, -3}));
  const NumberTensor a = read_number_tensor(folder.file(), "a");
  EXPECT_EQ(std::get<Bytes>(a.values), (Bytes{1, 0, 1}));
  const NumberTensor b = read_number_tensor(folder.file(), "b");
  EXPECT_EQ(b.shape, (Integers{1, 2}));
  EXPECT_EQ(std::get<Floats>(b.values), (Floats{0.1F, -2}));
  EXPECT_EQ(std::get<Integers>(read_number_tensor(folder.file(), "c").values), (Integers{-7, 9}));
  EXPECT_EQ(std::get<Floats>(read_number_tensor(folder.file(), "d").values), (Floats{1.5F, -3}));
  EXPECT_EQ(tensor_names(folder.file()), (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(NumberTensor, ReadsNpyArrays) {
  const DataFolder folder;
  write_file(folder.path() / "x.npy",
             npy_start(npy_header("|b1", "(2, 2)")) + raw(Bytes{1, 0, 0, 1}));
  const NumberTensor tensor = read_number_tensor(folder.path() / "x.npy", "");
  EXPECT_EQ(tensor.shape, (Integers{2, 2}));
  EXPECT_EQ(std::get<Bytes>(tensor.values), (Bytes{1, 0, 0, 1}));
  EXPECT_EQ(refusal(folder, "x.npy", "q"),
            "x.npy: tensor \"q\": an npy file has one array without a name");
}

TEST(NumberTensor, ReadsNestedListsOfJson) {
  const DataFolder folder;
  write_file(folder.path() / "x.json",
             R"({"whole": [[3, 1, 2], [0, 5, 4]], "mixed": [1, 2.5], "one": [[7]]})");
  const NumberTensor whole = read_number_tensor(folder.path() / "x.json", "whole");
  EXPECT_EQ(whole.shape, (Integers{2, 3}));
  EXPECT_EQ(std::get<Integers>(whole.values), (Integers{3, 1, 2, 0, 5, 4}));
  EXPECT_EQ(std::get<Floats>(read_number_tensor(folder.path() / "x.json", "mixed").values),
            (Floats{1, 2.5F}));
}

TEST(NumberTensor, WholeNumbersOfJsonAreExact) {
  const DataFolder folder;
  write_file(folder.path() / "x.json",
             R"({"wide": [9007199254740993, -9223372036854775808, 9223372036854775807],)"
             R"("wider": [[1, 2], [3, 9223372036854775808]]})");
  EXPECT_EQ(std::get<Integers>(read_number_tensor(folder.path() / "x.json", "wide").values),
            (Integers{9007199254740993, std::numeric_limits<std::int64_t>::min(),
                      std::numeric_limits<std::int64_t>::max()}));
  EXPECT_EQ(refusal(folder, "x.json", "wider"),
            "x.json: tensor \"wider\": element [1, 1] is 9223372036854775808; the largest whole "
            "number is 9223372036854775807");
}

TEST(NumberTensor, RefusesWhatFloat32CannotHold) {
  const DataFolder folder;
  const double infinity = std::numeric_limits<double>::infinity();
  folder.write(R"({"a":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},)"
               R"("b":{"dtype":"F64","shape":[2],"data_offsets":[16,32]}})",
               raw(std::vector<double>{1, -1e40, infinity, 1e-60}));
  EXPECT_EQ(refusal(folder, "x.safetensors", "a"),
            "x.safetensors: tensor \"a\": element [1, 0] is -1e+40, beyond the range of float32");
  EXPECT_EQ(std::get<Floats>(read_number_tensor(folder.file(), "b").values),
            (Floats{std::numeric_limits<float>::infinity(), 0}));
  write_file(folder.path() / "x.json", R"({"a": [0.5, 3.5e38]})");
  EXPECT_EQ(refusal(folder, "x.json", "a"),
            "x.json: tensor \"a\": element [1] is 3.5e+38, beyond the range of float32");
}

TEST(NumberTensor, RefusesWhatIsNoTensor) {
  const DataFolder folder;
  write_file(folder.path() / "x.json",
             R"({"ragged": [[1, 2], [3]], "text": ["a"], "empty": [[], []], "scalar": 3,)"
             R"("deep": [[[[[[[[[1]]]]]]]]]})");
  write_file(folder.path() / "bad.json", "{");
  write_file(folder.path() / "list.json", "[1]");
  write_file(folder.path() / "x.txt", "1");
  EXPECT_EQ(refusal(folder, "x.json", "ragged"),
            "x.json: tensor \"ragged\": its lists differ in length: one at depth 1 does not have 2 "
            "parts like the first");
  EXPECT_EQ(refusal(folder, "x.json", "text"),
            "x.json: tensor \"text\": it holds something that is not a number");
  EXPECT_EQ(refusal(folder, "x.json", "empty"), "x.json: tensor \"empty\": it has an empty list");
  EXPECT_EQ(refusal(folder, "x.json", "scalar"),
            "x.json: tensor \"scalar\": it is not a list of numbers");
  EXPECT_EQ(refusal(folder, "x.json", "deep"),
            "x.json: tensor \"deep\": its lists nest over 8 deep");
  EXPECT_EQ(refusal(folder, "x.json", "raged"),
            "x.json: tensor \"raged\": the file has no such key; did you mean \"ragged\"?");
  EXPECT_EQ(refusal(folder, "bad.json", "a"), "bad.json: the file is not valid JSON");
  EXPECT_EQ(refusal(folder, "list.json", "a"),
            "list.json: the file is not a JSON object of named lists of numbers");
  ASSERT_EQ(mkfifo((folder.path() / "pipe.json").c_str(), 0600), 0);
  EXPECT_EQ(refusal(folder, "pipe.json", "a"), "pipe.json: this is no regular file");
  EXPECT_EQ(refusal(folder, "none.json", "a"), "none.json: the file cannot be opened");
  EXPECT_EQ(refusal(folder, "x.txt", ""),
            "x.txt: its name must end in .safetensors, .npy or .json, which says how to read it");
}

}  // namespace
}  // namespace maskerade
