#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "experiments/benchmarks/check_all.hpp"
#include "experiments/benchmarks/serve.hpp"
#include "experiments/benchmarks/work_pool.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

// Counters of a case: rates and their share of what the machine gives as many threads.
void set_counters(benchmark::State& state,
                  const WorkCounts& counts,
                  const MachinePeaks& peaks,
                  double seconds) {
  if (counts.flops > 0) {
    const double flops = counts.flops / seconds;
    state.counters["GFLOP/s"] = flops / 1e9;
    state.counters["%peak"] = 100 * flops / peaks.flops_per_second;
  }
  if (counts.bytes > 0) {
    const double bytes = counts.bytes / seconds;
    state.counters["GB/s"] = bytes / 1e9;
    state.counters["%read"] = 100 * bytes / peaks.read_bytes_per_second;
  }
  if (counts.items > 0) state.counters["ns/item"] = 1e9 * seconds / counts.items;
  if (counts.density > 0) state.counters["density"] = counts.density;
}

void run_case(benchmark::State& state,
              WorkPool& pool,
              const BenchmarkCase& benchmark,
              int threads,
              bool& failed) {
  try {
    BenchmarkWork& work = pool.work(benchmark, threads);
    const MachinePeaks& peaks = pool.peaks(threads);
    work.set_up();
    work.run();
    double seconds = 0;
    for (auto _ : state) {
      work.set_up();
      const Stopwatch watch;
      work.run();
      const double run_seconds = watch.elapsed_ms() / 1e3;
      state.SetIterationTime(run_seconds);
      seconds += run_seconds;
    }
    set_counters(state, work.counts(), peaks, seconds / static_cast<double>(state.iterations()));
  } catch (const std::exception& error) {
    failed = true;
    state.SkipWithError(error.what());
  }
}

// Runs what the options of Google Benchmark choose. Returns whether all cases held their checks.
bool run_benchmarks(WorkPool& pool,
                    const std::vector<int>& thread_counts,
                    const char* program,
                    const std::vector<std::string>& given) {
  // Ours first: a later option wins.
  std::vector<std::string> options = {program, "--benchmark_enable_random_interleaving=true",
                                      "--benchmark_repetitions=5", "--benchmark_min_time=0.05",
                                      "--benchmark_display_aggregates_only=true"};
  options.insert(options.end(), given.begin(), given.end());
  std::vector<char*> arguments;
  for (std::string& option : options) arguments.push_back(option.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    throw ConfigError({}, "see --help");
  }
  bool failed = false;
  for (const BenchmarkCase& one : pool.cases()) {
    for (const int threads : thread_counts) {
      benchmark::RegisterBenchmark(fmt::format("{}/threads:{}", one.name, threads).c_str(),
                                   run_case, std::ref(pool), std::cref(one), threads,
                                   std::ref(failed))
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::AddCustomContext("machine", machine_name());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return !failed;
}

constexpr const char* kFooter =
    "Options of Google Benchmark go on from here: --benchmark_filter=dense runs one table,\n"
    "--benchmark_repetitions=N, --benchmark_min_time=SECONDS, --benchmark_out=FILE ...\n"
    "Repetitions are interleaved. Exit codes: 0 fine, 1 a case failed its check, 2 bad options.";

int run_program(int argc, char** argv) {
  CLI::App program("Times the kernels on the tables of the field; every case is checked first.",
                   "maskerade_bench");
  bool check = false;
  bool serve_requests = false;
  bool list = false;
  std::vector<int> threads = {1, 2};
  program.add_flag("--check", check, "Check every case on reduced sizes; time nothing");
  program.add_flag("--serve", serve_requests, "Answer requests for single samples on stdin");
  program.add_flag("--list", list, "Print the names of the cases");
  program.add_option("--threads", threads, "Numbers of threads (1,2)")->delimiter(',');
  program.footer(kFooter);
  program.allow_extras();
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    throw ConfigError({}, std::string(error.what()) + "; see --help");
  }
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  WorkPool pool(load_catalog(folder, "", {}), check ? Scale::kReduced : Scale::kFull);
  if (list) {
    for (const BenchmarkCase& one : pool.cases()) fmt::print("{}\n", one.name);
    return 0;
  }
  if (check) return check_all(pool, threads) == 0 ? 0 : 1;
  if (serve_requests) {
    serve(pool, std::cin, std::cout);
    return 0;
  }
  return run_benchmarks(pool, threads, argv[0], program.remaining()) ? 0 : 1;
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
