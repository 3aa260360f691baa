#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>

#include "attention/cpu/attend.hpp"
#include "experiments/benchmarks/check_all.hpp"
#include "experiments/benchmarks/run_benchmarks.hpp"
#include "experiments/benchmarks/serve.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

constexpr const char* kFooter =
    "Everything else is an option of Google Benchmark: --benchmark_filter=dense times one table,\n"
    "--benchmark_repetitions=N, --benchmark_out=FILE ...; repetitions are interleaved.\n"
    "%peak and %read are shares of the machine's arithmetic and read bandwidth, measured first.\n"
    "Where a matrix unit multiplies, %peak is the share of its bfloat16 products, counting those\n"
    "that float32 arithmetic takes: 2 for bfloat16 storage, 4.5 for float16, 6 for float32.\n"
    "Exit codes: 0 fine, 1 a case failed its check, 2 bad options.";

int run_program(int argc, char** argv) {
  CLI::App program("Times the kernels on the tables of the field; every case is checked first.",
                   "maskerade_bench");
  bool check = false;
  bool serve_requests = false;
  bool list = false;
  std::vector<int> threads = {1, 2};
  std::string today;
  std::string target;
  program.add_flag("--list", list, "Print the names of the cases");
  program.add_flag("--check", check, "Check every case on reduced sizes; time nothing");
  program.add_flag("--serve", serve_requests,
                   "Answer requests for single samples, one a line: see serve.hpp");
  program.add_option("--threads", threads, "Numbers of threads, separated by commas (1,2)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  program
      .add_option("--today", today,
                  "What compare_pytorch.py --hub wrote: the published code's times of today")
      ->type_name("FILE");
  program
      .add_option("--target", target,
                  fmt::format("Run, and measure the machine, with this instruction set: {}",
                              fmt::join(instruction_sets(), ", ")))
      ->type_name("NAME");
  program.footer(kFooter);
  program.allow_extras();
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    throw ConfigError({}, std::string(error.what()) + "; see --help");
  }
  if (!target.empty()) use_instruction_set(target);
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  WorkPool pool(load_catalog(folder, "", {}),
                benchmark_cases(check ? Scale::kReduced : Scale::kFull));
  if (list) {
    for (const BenchmarkCase& one : pool.cases()) fmt::print("{}\n", one.name);
    return 0;
  }
  if (check) return check_all(pool, threads) == 0 ? 0 : 1;
  if (serve_requests) {
    serve(pool, std::cin, std::cout);
    return 0;
  }
  return run_benchmarks(pool, threads, today.empty() ? TimesToday{} : read_times_today(today),
                        argv[0], program.remaining())
             ? 0
             : 1;
}

}  // namespace
}  // namespace maskerade

int main(int argc, char** argv) {
  try {
    return maskerade::run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "maskerade_bench: error: {}\n", error.what());
    return 2;
  }
}
