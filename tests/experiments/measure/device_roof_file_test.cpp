#include "experiments/measure/device_roof_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

class DeviceRoofFileTest : public testing::Test {
 protected:
  DeviceRoofFileTest() {
    std::string name = (fs::temp_directory_path() / "maskerade_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    folder_ = name;
  }
  ~DeviceRoofFileTest() override { fs::remove_all(folder_); }

  fs::path folder_;
  std::string problem_;
};

constexpr const char* kDevice = "NVIDIA H200, sm_90, 132 multiprocessors, CUDA 13.0";

DeviceRoofs example() {
  return {.copy_bytes_per_second = 4.125e12,
          .l2_read_bytes_per_second = 5.5e12,
          .matrix_flops_per_second = 7.75e14,
          .matrix_source = "cuBLASLt"};
}

TEST_F(DeviceRoofFileTest, GivesBackWhatWasSavedForTheDevice) {
  const DeviceRoofFile file(folder_ / "cache", kDevice);
  EXPECT_FALSE(file.load(problem_));
  EXPECT_EQ(problem_, "");
  file.save(example());
  const std::optional<DeviceRoofs> roofs = file.load(problem_);
  ASSERT_TRUE(roofs) << problem_;
  EXPECT_EQ(roofs->copy_bytes_per_second, 4.125e12);
  EXPECT_EQ(roofs->l2_read_bytes_per_second, 5.5e12);
  EXPECT_EQ(roofs->matrix_flops_per_second, 7.75e14);
  EXPECT_EQ(roofs->matrix_source, "cuBLASLt");
  EXPECT_FALSE(DeviceRoofFile(folder_ / "cache", "another device").load(problem_));
}

TEST_F(DeviceRoofFileTest, IsNotUsedWhenItIsBrokenOrForeign) {
  const DeviceRoofFile file(folder_, kDevice);
  file.save(example());
  std::ifstream saved(file.path());
  const std::string text{std::istreambuf_iterator<char>(saved), {}};
  const auto write = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    std::ofstream(file.path()) << changed;
  };
  write("NVIDIA", "another");
  EXPECT_FALSE(file.load(problem_));
  EXPECT_EQ(problem_, file.path().string() +
                          " was written for another device or by another version of the program");
  for (const auto& [from, to] : {std::pair{"4125000000000.0", "0"},
                                 {"4125000000000.0", "null"},
                                 {"\"matrix_source\"", "\"source\""},
                                 {"{", ""}}) {
    write(from, to);
    EXPECT_FALSE(file.load(problem_)) << to;
    EXPECT_EQ(problem_, file.path().string() + " holds no roofs of a device that can be read");
  }
}

}  // namespace
}  // namespace maskerade
