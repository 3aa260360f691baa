#include <fmt/format.h>

#include <filesystem>
#include <sstream>
#include <string>

#include "experiments/cli/commands.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/parallel.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {
namespace {

void print_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  fmt::print("plugins     {}{}\n", folder.string(),
             std::filesystem::is_directory(folder, ignored) ? "" : " (not there)");
}

int info() {
  fmt::print("version     {}\n", program_version());
  fmt::print("machine     {}\n", machine_name());
  fmt::print("threads     {}\n", Threads::all_processors().count());
  std::string problem;
  fmt::print("cost model  {}\n", find_costs(problem).origin);
  if (!problem.empty())
    fmt::print("            {}; \"maskerade calibrate\" replaces it\n", problem);
  print_folder(program_folder() / "plugins");
  std::istringstream folders(plugin_path());
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty()) print_folder(folder);
  }
  fmt::print("maskers     {}\n", find_maskers({}).types().size());
  const CudaDevice& cuda = cuda_device();
  fmt::print("devices     cpu; cuda: {}\n", cuda.is_available ? cuda.name : cuda.reason);
  return kExitOk;
}

}  // namespace

void add_info_command(CLI::App& program, Command& command) {
  CLI::App* info_command =
      program.add_subcommand("info", "Show the version, the machine and where plugins are found");
  info_command->footer("Example: maskerade info");
  info_command->callback([&command] { command = [] { return info(); }; });
}

}  // namespace maskerade
