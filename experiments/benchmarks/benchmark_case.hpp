#pragma once

#include <compare>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/benchmarks/attention_problem.hpp"
#include "framework/base/parallel.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// The least work that one run of a case needs, by which its rates are reckoned. 0: does not apply.
struct WorkCounts {
  double flops = 0;            // 4 head_dim for each active (query, key) pair
  double matrix_products = 0;  // argument of MachinePeaks::flops_with()
  double bytes = 0;            // read and written, each byte once
  double items = 0;    // for a time per item: keys that a selection looks at, entries of a mask
  double density = 0;  // active / visible entries
};

// The work of a case on a number of threads, ready to be timed. It owns its memory.
class BenchmarkWork {
 public:
  virtual ~BenchmarkWork() = default;

  // Restores what run() consumes. It is called before every run and not timed.
  virtual void set_up() {}
  // Does the work that is timed.
  virtual void run() = 0;
  // Compares the result of the last run with the oracle, or with a result found in a simple way.
  // Throws Error when they differ.
  virtual void check() const = 0;
  // The least work of the last run.
  virtual WorkCounts counts() const { return {}; }
};

// The sizes of the cases. kReduced has the same kinds of work at small sizes, so that all cases can
// be checked within seconds.
enum class Scale { kFull, kReduced };

// What a case needs to create its work, which it must outlive.
struct BenchmarkContext {
  const Catalog& maskers;
  ProblemStore& problems;
};

// One case of a table: something to time, on any number of threads.
struct BenchmarkCase {
  // "dense/1x8x8x2048x2048x64/float32/causal": unique, without blanks; the table's name comes
  // first.
  std::string name;
  // Creates the work of the case.
  std::function<std::unique_ptr<BenchmarkWork>(const BenchmarkContext&, const Threads&)> make;

  std::string table() const { return name.substr(0, name.find('/')); }
};

// A case on a number of threads.
struct CaseRun {
  std::string name;  // of the case
  int threads = 1;

  friend auto operator<=>(const CaseRun&, const CaseRun&) = default;
};

// A table of cases.
struct BenchmarkTable {
  const char* name;   // the first part of its cases' names
  const char* title;  // one line: what is timed
  std::vector<BenchmarkCase> (*cases)(Scale scale);
};

// All tables, in the order in which they are timed.
std::span<const BenchmarkTable> benchmark_tables();
// The table of that name. Throws Error when there is none.
const BenchmarkTable& benchmark_table(std::string_view name);

// All cases, table by table.
std::vector<BenchmarkCase> benchmark_cases(Scale scale);

// Throws Error with the text `what` unless `holds`; for BenchmarkWork::check().
void require(bool holds, const std::string& what);

}  // namespace maskerade
