#include "experiments/report/ruler.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult cell_of(std::int64_t number, double dense_ms, std::optional<double> other_load = {}) {
  CellResult result = example_result();
  result.cell = number;
  result.times->dense = summary_of(dense_ms);
  result.load.other = other_load;
  return result;
}

TEST(Ruler, IsSilentWhereNothingIsDoubtful) {
  EXPECT_EQ(note_on_ruler({}), "");
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100, 0.5), cell_of(1, 110, 0.1)}), "");
  CellResult failed = cell_of(2, 200);
  failed.times.reset();
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100), failed}), "");
}

TEST(Ruler, NamesTheCellsInWhichTheDenseReferenceDrifts) {
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100), cell_of(1, 101), cell_of(2, 112),
                                                  cell_of(3, 99)}),
            "doubtful times: the dense reference drifts between 99.0 and 112 ms (cell 2): compare "
            "cells by speedup, not by their times");
}

TEST(Ruler, LooksAtEachDeviceByItself) {
  CellResult device = cell_of(1, 10);
  device.device = "cuda";
  CellResult slower = cell_of(2, 13);
  slower.device = "cuda";
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100), device}), "");
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100), device, slower}),
            "doubtful times: on cuda the dense reference drifts between 10.0 and 13.0 ms (cells 1, "
            "2): compare cells by speedup, not by their times");
}

TEST(Ruler, SaysThatTheMachineDidOtherWork) {
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100, 0.25), cell_of(1, 100, 0.75),
                                                  cell_of(2, 100, 1.5)}),
            "doubtful times: other processes kept up to 1.5 processors busy (cells 1, 2)");
}

TEST(Ruler, SaysThatPeaksAreTooLow) {
  CellResult fast = cell_of(4, 100);
  fast.peaks->flops_per_second = 1;
  EXPECT_EQ(note_on_ruler(std::vector<CellResult>{cell_of(0, 100), fast}),
            "doubtful times: attending is faster than the measured peaks allow (cell 4): they are "
            "too low");
}

TEST(Ruler, SaysAllOfItInOneNote) {
  const std::string note =
      note_on_ruler(std::vector<CellResult>{cell_of(0, 100, 2), cell_of(1, 150)});
  EXPECT_NE(
      note.find("not by their times; other processes kept up to 2.0 processors busy (cell 0)"),
      std::string::npos)
      << note;
}

TEST(CellNumbers, AreShortened) {
  EXPECT_EQ(cell_numbers_text({3}), "cell 3");
  EXPECT_EQ(cell_numbers_text({9, 3, 5, 6, 7, 8, 8, 12}), "cells 3, 5-9, 12");
  EXPECT_EQ(cell_numbers_text({1, 2}), "cells 1, 2");
  EXPECT_EQ(cell_numbers_text({CellResult::kNoNumber, 4}), "cell 4");
  EXPECT_EQ(cell_numbers_text({CellResult::kNoNumber}), "cells without a number");
}

TEST(CellNumbers, OfManyAreCounted) {
  std::vector<std::int64_t> odd;
  for (std::int64_t i = 1; i < 100; i += 2) odd.push_back(i);
  EXPECT_EQ(cell_numbers_text(odd), "cells 1, 3, 5, 7, 9, 11, 13, 15, ...: 50 in all");
}

}  // namespace
}  // namespace maskerade
