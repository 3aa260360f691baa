#include "experiments/benchmarks/run_benchmarks.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "experiments/measure/machine.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

// Sets the counters of a case: its rates, and their shares of the machine's peaks. seconds: the
// mean time of a run.
void set_counters(benchmark::State& state,
                  const WorkCounts& counts,
                  const MachinePeaks& peaks,
                  double seconds) {
  if (counts.flops > 0) {
    const double flops = counts.flops / seconds;
    state.counters["GFLOP/s"] = flops / 1e9;
    state.counters["%peak"] = 100 * flops / peaks.flops_with(counts.matrix_products);
  }
  if (counts.bytes > 0) {
    const double bytes = counts.bytes / seconds;
    state.counters["GB/s"] = bytes / 1e9;
    state.counters["%read"] = 100 * bytes / peaks.read_bytes_per_second;
  }
  if (counts.items > 0) state.counters["ns/item"] = 1e9 * seconds / counts.items;
  if (counts.density > 0) state.counters["density"] = counts.density;
}

// Does one repetition of a case: one run that is not timed, then timed runs. Rationale: they are
// timed by hand, because Google Benchmark's timer would include set_up().
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

// What Google Benchmark 1.8 changed: a run that ended by an error is "skipped", before it was
// "error_occurred"; and a time in its options is written with its unit, which was an error before.
template <class Run>
concept HasErrorOccurred = requires(const Run& run) {
  run.error_occurred;
};

constexpr bool kIsBefore18 = HasErrorOccurred<benchmark::BenchmarkReporter::Run>;
constexpr const char* kMinTime =
    kIsBefore18 ? "--benchmark_min_time=0.05" : "--benchmark_min_time=0.05s";

template <class Run>
bool has_failed(const Run& run) {
  if constexpr (HasErrorOccurred<Run>) {
    return run.error_occurred;
  } else {
    return run.skipped != decltype(run.skipped){};
  }
}

// The cases by the names under which Google Benchmark has them.
using CasesByName = std::map<std::string, CaseRun>;

// A name and a text about the machine.
using MachineText = std::pair<std::string, std::string>;

// Prints like Google Benchmark's console reporter, but before the first case of a table what that
// times, and of the aggregates only the median and the coefficient of variation (cv); and keeps the
// medians. Of the machine it prints `machine` alone. Rationale: Google Benchmark would say how its
// own library was built, whose timer no case uses (see run_case), and that reads like a fault here.
class MedianReporter final : public benchmark::ConsoleReporter {
 public:
  MedianReporter(const CasesByName& cases, const std::vector<MachineText>& machine)
      : ConsoleReporter(OO_None), cases_(cases), machine_(machine) {}

  bool ReportContext(const Context& context) override {
    for (const auto& [name, text] : machine_) {
      GetErrorStream() << name << ": " << text << '\n';
    }
    name_field_width_ = context.name_field_width;
    printed_header_ = false;
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> printed;
    if (!runs.empty()) print_table_of(runs.front().run_name.function_name);
    for (const Run& run : runs) {
      const bool is_median = run.run_type == Run::RT_Aggregate && run.aggregate_name == "median";
      const bool is_only = run.run_type == Run::RT_Iteration && run.repetitions <= 1;
      const auto at = cases_.find(run.run_name.function_name);
      if ((is_median || is_only) && !has_failed(run) && at != cases_.end()) {
        medians_[at->second] = run.GetAdjustedRealTime();  // in ms, the unit of all cases
      }
      if (run.run_type != Run::RT_Aggregate || is_median || run.aggregate_name == "cv") {
        printed.push_back(run);
      }
    }
    ConsoleReporter::ReportRuns(printed);
  }
  const MedianTimes& medians() const noexcept { return medians_; }

 private:
  // The heading of the table of a case, unless the case before it had the same one.
  void print_table_of(const std::string& name) {
    const auto at = cases_.find(name);
    if (at == cases_.end()) return;
    const std::string& of_case = at->second.name;
    const std::string table = of_case.substr(0, of_case.find('/'));
    if (table == table_) return;
    table_ = table;
    GetOutputStream() << '\n' << table << ": " << benchmark_table(table).title << '\n';
    printed_header_ = false;
  }

  const CasesByName& cases_;
  const std::vector<MachineText>& machine_;
  std::string table_;  // of the case before
  MedianTimes medians_;
};

}  // namespace

bool run_benchmarks(WorkPool& pool,
                    std::span<const int> thread_counts,
                    const TimesToday& today,
                    const std::string& program,
                    const std::vector<std::string>& options) {
  // Our options come first, because a later option replaces an earlier one.
  std::vector<std::string> words = {program, "--benchmark_enable_random_interleaving=true",
                                    "--benchmark_repetitions=5", kMinTime,
                                    "--benchmark_display_aggregates_only=true"};
  words.insert(words.end(), options.begin(), options.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (count > 1) {
    throw ConfigError({}, fmt::format("there is no option \"{}\"; see --help", arguments[1]));
  }
  bool failed = false;
  CasesByName cases;
  for (const BenchmarkCase& one : pool.cases()) {
    for (const int threads : thread_counts) {
      const std::string name = fmt::format("{}/threads:{}", one.name, threads);
      cases[name] = {one.name, threads};
      benchmark::RegisterBenchmark(name.c_str(), run_case, std::ref(pool), std::cref(one), threads,
                                   std::ref(failed))
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  std::vector<MachineText> machine = {{"machine", machine_name()}};
  for (const int threads : thread_counts) {
    const MachinePeaks& peaks = pool.peaks(threads);
    machine.emplace_back(
        fmt::format("peaks of {} threads", threads),
        fmt::format(
            "{:.0f} GFLOP/s{}, reading {:.1f} GB/s", peaks.flops_per_second / 1e9,
            peaks.matrix_flops_per_second == 0
                ? ""
                : fmt::format(", {:.0f} on bfloat16 tiles", peaks.matrix_flops_per_second / 1e9),
            peaks.read_bytes_per_second / 1e9));
  }
  // In the file of --benchmark_out, too.
  for (const auto& [name, text] : machine) benchmark::AddCustomContext(name, text);
  MedianReporter reporter(cases, machine);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  fmt::print("{}{}", format_published_tables(reporter.medians(), today),
             format_scaling(reporter.medians()));
  return !failed;
}

}  // namespace maskerade
