#include "experiments/measure/calibration.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

class CalibrationFileTest : public testing::Test {
 protected:
  CalibrationFileTest() {
    std::string name = (fs::temp_directory_path() / "maskerade_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    folder_ = name;
  }
  ~CalibrationFileTest() override { fs::remove_all(folder_); }

  fs::path folder_;
  std::string problem_;
};

Calibration example() {
  Calibration calibration{.costs = CostModel::defaults(), .threads = 2, .worst_fit = 0.1};
  calibration.costs.origin = "calibrated 2026-01-02 03:04:05";
  calibration.costs.of(DType::kFloat16).few_rows.gathered_component = 0.1234567890123;
  return calibration;
}

TEST_F(CalibrationFileTest, GivesBackWhatWasSaved) {
  const CalibrationFile file(folder_ / "cache" / "maskerade");
  EXPECT_EQ(file.load(problem_), std::nullopt);
  EXPECT_EQ(problem_, "");
  file.save(example());
  EXPECT_EQ(file.load(problem_), example().costs);
  EXPECT_EQ(problem_, "");
}

TEST_F(CalibrationFileTest, IsNotUsedWhenItIsBrokenOrForeign) {
  const CalibrationFile file(folder_);
  file.save(example());
  std::ifstream saved(file.path());
  const std::string text{std::istreambuf_iterator<char>(saved), {}};
  const auto write = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    std::ofstream(file.path()) << changed;
  };
  write("\"machine\": \"", "\"machine\": \"another ");
  EXPECT_EQ(file.load(problem_), std::nullopt);
  EXPECT_EQ(problem_, file.path().string() +
                          " was written on another machine or by another version of the program");
  for (const auto& [from, to] : {std::pair{"0.1234567890123", "-1"},
                                 {"0.1234567890123", "null"},
                                 {"\"few_rows\"", "\"few\""},
                                 {"{", ""}}) {
    write(from, to);
    EXPECT_EQ(file.load(problem_), std::nullopt) << to;
    EXPECT_EQ(problem_, file.path().string() + " is not a calibration that can be read");
  }
}

TEST_F(CalibrationFileTest, SaysWhereItCannotWrite) {
  std::ofstream(folder_ / "a file") << "";
  const CalibrationFile file(folder_ / "a file" / "maskerade");
  try {
    file.save(example());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.what(),
              file.path().string() +
                  ": cannot be written; set XDG_CACHE_HOME to a folder that can be written");
  }
  try {
    CalibrationFile("").save(example());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "there is no cache folder to save the result in; set HOME or XDG_CACHE_HOME");
  }
}

TEST_F(CalibrationFileTest, WritesToNothingThatWasPlanted) {
  const CalibrationFile file(folder_);
  file.save(example());
  const std::filesystem::path target = folder_ / "target";
  std::ofstream(target) << "precious";
  // At the path itself, and where a draft named by the process would be.
  std::filesystem::remove(file.path());
  std::filesystem::create_symlink(target, file.path());
  for (const std::string& suffix : {std::to_string(getpid()), std::string("tmp")}) {
    std::filesystem::create_symlink(target, file.path().string() + "." + suffix);
  }
  file.save(example());
  std::ifstream kept(target);
  EXPECT_EQ((std::string{std::istreambuf_iterator<char>(kept), {}}), "precious");
  EXPECT_FALSE(std::filesystem::is_symlink(file.path()));
  EXPECT_TRUE(file.load(problem_).has_value()) << problem_;
}

TEST_F(CalibrationFileTest, WaitsForNoPipe) {
  const CalibrationFile file(folder_);
  file.save(example());
  std::filesystem::remove(file.path());
  ASSERT_EQ(mkfifo(file.path().c_str(), 0600), 0);
  ASSERT_EQ(mkfifo((file.path().string() + "." + std::to_string(getpid())).c_str(), 0600), 0);
  EXPECT_EQ(file.load(problem_), std::nullopt);
  EXPECT_EQ(problem_, file.path().string() + " is not a calibration that can be read");
  file.save(example());
  EXPECT_TRUE(file.load(problem_).has_value()) << problem_;
}

// How fast anything is does not matter: more work is never predicted to take less.
TEST(Calibrate, GivesRatesThatPredictNoLessForMoreWork) {
  const Calibration calibration = calibrate(Threads(2), "now");
  EXPECT_EQ(calibration.costs.origin, "calibrated now");
  EXPECT_EQ(calibration.threads, 2);
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const std::int64_t rows : {std::int64_t{1}, kFewRows, std::int64_t{64}}) {
      const auto ns = [&](std::int64_t keys, std::int64_t gathered) {
        return calibration.costs.block_ns(dtype, 64,
                                          {.rows = rows, .keys = keys, .gathered_keys = gathered});
      };
      EXPECT_GE(ns(64, 0), 0);
      EXPECT_GT(ns(8192, 0), 0) << name_of(dtype) << ", rows " << rows;
      EXPECT_GE(ns(8192, 0), ns(512, 0)) << name_of(dtype) << ", rows " << rows;
      EXPECT_GE(ns(8192, 8192), ns(512, 512)) << name_of(dtype) << ", rows " << rows;
    }
  }
}

}  // namespace
}  // namespace maskerade
