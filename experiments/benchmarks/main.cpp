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
#include "framework/base/parallel.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The tables, one a line: their names and what they time, each line after `before`.
std::string tables_text(const char* before) {
  std::string text;
  for (const BenchmarkTable& table : benchmark_tables()) {
    text += fmt::format("{}{}: {}\n", before, table.name, table.title);
  }
  return text;
}

constexpr const char* kFooter =
    "All other options are those of Google Benchmark: --benchmark_filter=dense times one table,\n"
    "--benchmark_repetitions=N, --benchmark_out=FILE and so on. Repetitions are interleaved.\n"
    "%peak and %read are shares of the machine's peak arithmetic and read bandwidth, which are\n"
    "measured first. Where the processor's matrix unit is used, %peak is a share of its bfloat16\n"
    "rate; one float32 product then counts as the bfloat16 products that it takes: 2 for\n"
    "bfloat16 inputs, 4.5 for float16, 6 for float32.\n"
    "Exit codes: 0 success, 1 a case failed its check, 2 wrong options or output that cannot be\n"
    "written.";

int run_program(int argc, char** argv) {
  CLI::App program(
      "Times the kernels on the cases of several tables. Every case is checked before it is timed.",
      "maskerade_bench");
  bool check = false;
  bool serve_requests = false;
  bool list = false;
  std::vector<int> threads = {1, 2};
  std::string today;
  std::string target;
  program.add_flag("--list", list, "Print the names of the cases, and above each table what it is");
  program.add_flag("--check", check, "Check every case at small sizes, and time nothing");
  program.add_flag("--serve", serve_requests,
                   "Read requests from standard input, one a line, and answer each with one timing "
                   "in JSON; experiments/benchmarks/serve.hpp describes them");
  program.add_option("--threads", threads, "Numbers of threads, separated by commas (1,2)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  program
      .add_option("--today", today,
                  "Also print the times that the published code takes today, from a file that "
                  "compare_pytorch.py --hub wrote with --json")
      ->type_name("FILE");
  program
      .add_option("--target", target,
                  fmt::format("Use this instruction set, and measure its peak: {}",
                              fmt::join(instruction_sets(), ", ")))
      ->type_name("NAME");
  program.footer("Tables, which are the first part of a case's name:\n" + tables_text("  ") + "\n" +
                 kFooter);
  program.allow_extras();
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      program.exit(error);
      return 0;
    }
    throw ConfigError({}, std::string(error.what()) + "; see --help");
  }
  for (const int count : threads) Threads::check_count(count, "--threads");
  if (!target.empty()) use_instruction_set(target);
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  WorkPool pool(load_catalog(folder, "", {}),
                benchmark_cases(check ? Scale::kReduced : Scale::kFull));
  if (list) {
    std::string table;
    for (const BenchmarkCase& one : pool.cases()) {
      if (one.table() != table) {
        table = one.table();
        fmt::print("# {}: {}\n", table, benchmark_table(table).title);
      }
      fmt::print("{}\n", one.name);
    }
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
  maskerade::guard_standard_streams();
  try {
    const int code = maskerade::run_program(argc, argv);
    std::cout.flush();
    maskerade::finish_standard_output();
    return maskerade::has_lost_messages() ? 2 : code;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    maskerade::write_message(
        stderr, fmt::format("maskerade_bench: error: {}\n", maskerade::printable(error.what())));
    return 2;
  }
}
