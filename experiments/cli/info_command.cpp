#include <fmt/format.h>

#include <filesystem>
#include <sstream>
#include <string>

#include "attention/cuda/cudnn_library.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/measure/build_facts.hpp"
#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/device_clocks.hpp"
#include "experiments/measure/device_roof_file.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/process_limits.hpp"
#include "framework/base/text.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {
namespace {

void print_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  fmt::print("plugins     {}{}\n", printable(folder.string()),
             std::filesystem::is_directory(folder, ignored) ? "" : " (no such folder)");
}

// The version that CUDA encodes as 1000 * major + 10 * minor.
std::string cuda_version(int version) {
  return version == 0 ? "none" : fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Prints what a build with the CUDA backend finds on this machine.
void print_cuda(const CudaDevice& cuda) {
  fmt::print("cuda        runtime {}, driver {}\n", cuda_version(cuda.runtime_version),
             cuda_version(cuda.driver_version));
  const CudnnLibrary& cudnn = cudnn_library();
  fmt::print("cudnn       {}\n",
             cudnn.is_found ? fmt::format("{}, {}", cudnn.version, cudnn.path) : cudnn.reason);
  const NvmlLibrary& nvml = nvml_library();
  fmt::print("nvml        {}\n", nvml.is_found
                                     ? fmt::format("driver {}, {}", nvml.driver_version, nvml.path)
                                     : nvml.reason);
  if (!cuda.is_available) return;
  std::string problem;
  const auto roofs = DeviceRoofFile(cache_folder(), cuda.name).load(problem);
  fmt::print(
      "roofs       {}\n",
      roofs ? fmt::format("copy {:.0f} GB/s, second-level cache {:.0f} GB/s, bfloat16 "
                          "products {:.0f} TFLOP/s ({})",
                          roofs->copy_bytes_per_second / 1e9, roofs->l2_read_bytes_per_second / 1e9,
                          roofs->matrix_flops_per_second / 1e12, roofs->matrix_source)
            : "not measured yet; \"maskerade calibrate\" or a run on cuda measures them");
}

void print_build(const BuildFacts& build) {
  fmt::print("commit      {}{}\n", build.commit,
             build.tree_state == "clean"     ? ""
             : build.tree_state == "changed" ? ", with changes"
                                             : "; whether there were changes is unknown");
  fmt::print("built with  {}, {}: {}\n", build.compiler, build.build_type, build.flags);
}

int info() {
  fmt::print("version     {}\n", program_version());
  print_build(build_facts());
  fmt::print("machine     {}\n", machine_name());
  const ProcessLimits limits = process_limits();
  fmt::print("threads     {}\n", limits.processors);
  fmt::print("memory      {:.1f} GB{}\n", static_cast<double>(limits.memory_bytes) / 1e9,
             limits.memory_is_of_control_group ? ", the limit of the control group" : "");
  std::string problem;
  fmt::print("cost model  {}\n", printable(find_costs(problem).origin));
  if (!problem.empty())
    fmt::print("            {}; \"maskerade calibrate\" replaces it\n", printable(problem));
  print_folder(program_folder() / "plugins");
  std::istringstream folders(plugin_path());
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty()) print_folder(folder);
  }
  fmt::print("maskers     {}\n", find_maskers({}).types().size());
  const CudaDevice& cuda = cuda_device();
  fmt::print("devices     cpu; cuda: {}\n", cuda.is_available ? cuda.name : cuda.reason);
  if (cuda.runtime_version > 0) print_cuda(cuda);
  return kExitOk;
}

}  // namespace

void add_info_command(CLI::App& program, Command& command) {
  CLI::App* info_command = program.add_subcommand(
      "info", "Show the version, the machine, its devices, and the folders of plugins");
  info_command->footer("Example: maskerade info");
  info_command->callback([&command] { command = [] { return info(); }; });
}

}  // namespace maskerade
