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
#include "framework/base/text.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {
namespace {

// What each rate is the cost of, as the lines of the table name it.
constexpr std::array<std::pair<const char*, double KernelRates::*>, 6> kRows = {
    {{"block of rows", &KernelRates::row_block},
     {"key component, keys in a run", &KernelRates::component},
     {"key component, listed keys", &KernelRates::gathered_component},
     {"entry (row and key)", &KernelRates::entry},
     {"entry with a mask bit, extra", &KernelRates::masked_entry},
     {"entry and component", &KernelRates::product}}};

void print_rates(const std::string& heading,
                 const KernelRates& measured,
                 const KernelRates& defaults) {
  fmt::print("{:<32}{:>10}{:>10}\n", heading, "measured", "default");
  for (const auto& [name, rate] : kRows) {
    fmt::print("  {:<30}{:>10.4g}{:>10.4g}\n", name, measured.*rate, defaults.*rate);
  }
}

// Measures the roofs of the CUDA device, prints and saves them.
void measure_device() {
  const DeviceRoofFile file(cache_folder(), cuda_device().name);
  const DeviceRoofs roofs = measure_device_roofs();
  fmt::print("\n{}\n", cuda_device().name);
  fmt::print("copy, read + written        {:>8.0f} GB/s\n", roofs.copy_bytes_per_second / 1e9);
  fmt::print("read of second-level cache  {:>8.0f} GB/s\n", roofs.l2_read_bytes_per_second / 1e9);
  fmt::print("bfloat16 product            {:>8.1f} TFLOP/s ({})\n",
             roofs.matrix_flops_per_second / 1e12, roofs.matrix_source);
  file.save(roofs);
  fmt::print("saved in {}\n", printable(file.path().string()));
}

int run_calibration() {
  const CalibrationFile file(cache_folder());
  const Threads threads = Threads::all_processors();
  const Stopwatch stopwatch;
  const Calibration calibration = calibrate(threads, calibration_time());
  const double seconds = stopwatch.elapsed_ms() / 1000;
  const CostModel defaults = CostModel::defaults();
  fmt::print("{}\ncosts in nanoseconds of one thread, with {} threads at work\n", machine_name(),
             threads.count());
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    print_rates(fmt::format("{}, decode", name_of(dtype)), calibration.costs.of(dtype).decode,
                defaults.of(dtype).decode);
    print_rates(fmt::format("{}, up to {} rows", name_of(dtype), kFewRows),
                calibration.costs.of(dtype).few_rows, defaults.of(dtype).few_rows);
    print_rates(fmt::format("{}, more rows", name_of(dtype)), calibration.costs.of(dtype).many_rows,
                defaults.of(dtype).many_rows);
  }
  fmt::print("calibrated in {:.1f} s; the cost model is within {:.0f}% of every timing\n", seconds,
             100 * calibration.worst_fit);
  file.save(calibration);
  fmt::print("saved in {}\n", printable(file.path().string()));
  if (cuda_device().is_available) measure_device();
  return kExitOk;
}

}  // namespace

void add_calibrate_command(CLI::App& program, Command& command) {
  CLI::App* calibrate_command = program.add_subcommand(
      "calibrate",
      "Measure what the kernels cost on this machine, so that auto chooses the fastest one");
  calibrate_command->footer(
      "Takes a few seconds. On a CUDA device it also measures bandwidths and the rate of matrix "
      "products, from which the attainable_ms of cells on cuda follows. The results are saved in "
      "$XDG_CACHE_HOME/maskerade or ~/.cache/maskerade, and every later run uses them.\n"
      "Example: maskerade calibrate");
  calibrate_command->callback([&command] { command = [] { return run_calibration(); }; });
}

}  // namespace maskerade
