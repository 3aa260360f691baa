#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "experiments/cli/commands.hpp"
#include "experiments/measure/calibration.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

constexpr std::array<std::pair<const char*, double KernelRates::*>, 6> kRows = {
    {{"a row block", &KernelRates::row_block},
     {"a component of keys in a run", &KernelRates::component},
     {"a component of listed keys", &KernelRates::gathered_component},
     {"an entry", &KernelRates::entry},
     {"an entry's bit", &KernelRates::masked_entry},
     {"a product of an entry", &KernelRates::product}}};

void print_rates(const std::string& heading, const KernelRates& found, const KernelRates& usual) {
  fmt::print("{:<32}{:>10}{:>10}\n", heading, "found", "default");
  for (const auto& [name, rate] : kRows) {
    fmt::print("  {:<30}{:>10.4g}{:>10.4g}\n", name, found.*rate, usual.*rate);
  }
}

int run_calibration() {
  const CalibrationFile file(CalibrationFile::cache_folder());
  const Threads threads = Threads::all_processors();
  const Stopwatch stopwatch;
  const Calibration calibration = calibrate(threads, calibration_time());
  const double seconds = stopwatch.elapsed_ms() / 1000;
  const CostModel usual = CostModel::defaults();
  fmt::print("{}\nnanoseconds of one of {} threads:\n", machine_name(), threads.count());
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    print_rates(fmt::format("{}, decode", name_of(dtype)), calibration.costs.of(dtype).decode,
                usual.of(dtype).decode);
    print_rates(fmt::format("{}, up to {} rows", name_of(dtype), kFewRows),
                calibration.costs.of(dtype).few_rows, usual.of(dtype).few_rows);
    print_rates(fmt::format("{}, more rows", name_of(dtype)), calibration.costs.of(dtype).many_rows,
                usual.of(dtype).many_rows);
  }
  fmt::print("in {:.1f} s; the model is within {:.0f}% of every timing\n", seconds,
             100 * calibration.worst_fit);
  file.save(calibration);
  fmt::print("kept in {}\n", file.path().string());
  return kExitOk;
}

}  // namespace

void add_calibrate_command(CLI::App& program, Command& command) {
  CLI::App* calibrate_command = program.add_subcommand(
      "calibrate", "Measure what kernels cost on this machine, for the choice of kernel: auto");
  calibrate_command->footer(
      "The result is kept in $XDG_CACHE_HOME/maskerade or ~/.cache/maskerade, and used by every "
      "run.\nExample: maskerade calibrate");
  calibrate_command->callback([&command] { command = [] { return run_calibration(); }; });
}

}  // namespace maskerade
