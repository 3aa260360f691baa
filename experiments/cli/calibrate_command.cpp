#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "experiments/cli/commands.hpp"
#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/calibration.hpp"
#include "experiments/measure/device_roof_file.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/tensor/cuda/device.hpp"

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

void measure_device() {
  const DeviceRoofFile file(cache_folder(), cuda_device().name);
  const DeviceRoofs roofs = measure_device_roofs();
  fmt::print("\n{}\n", cuda_device().name);
  fmt::print("copy, read + written        {:>8.0f} GB/s\n", roofs.copy_bytes_per_second / 1e9);
  fmt::print("read of second-level cache  {:>8.0f} GB/s\n", roofs.l2_read_bytes_per_second / 1e9);
  fmt::print("bfloat16 product            {:>8.1f} TFLOP/s ({})\n",
             roofs.matrix_flops_per_second / 1e12, roofs.matrix_source);
  file.save(roofs);
  fmt::print("kept in {}\n", file.path().string());
}

int run_calibration() {
  const CalibrationFile file(cache_folder());
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
  if (cuda_device().is_available) measure_device();
  return kExitOk;
}

}  // namespace

void add_calibrate_command(CLI::App& program, Command& command) {
  CLI::App* calibrate_command = program.add_subcommand(
      "calibrate", "Measure what kernels cost on this machine, for the choice of kernel: auto");
  calibrate_command->footer(
      "On a CUDA device, its bandwidths and matrix rate too, the roofs of its cells. The result is "
      "kept in $XDG_CACHE_HOME/maskerade or ~/.cache/maskerade, and used by every "
      "run.\nExample: maskerade calibrate");
  calibrate_command->callback([&command] { command = [] { return run_calibration(); }; });
}

}  // namespace maskerade
