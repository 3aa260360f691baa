#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/benchmarks/attention_problem.hpp"
#include "framework/base/parallel.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// What one run needs at least, counted on what it really works on. 0: nothing to say.
struct WorkCounts {
  double flops = 0;            // of useful pairs: 4 head_dim for each active (query, key)
  double matrix_products = 0;  // see MachinePeaks::flops_with()
  double bytes = 0;            // that must be read and written, each once
  double items = 0;    // what a time per item counts: keys a selection looks at, entries of a mask
  double density = 0;  // active / visible entries
};

// A workload that is ready to be timed, with its memory and its threads.
class BenchmarkWork {
 public:
  virtual ~BenchmarkWork() = default;

  // Renews what run() uses up. Called before every run, untimed.
  virtual void set_up() {}
  // What is timed.
  virtual void run() = 0;
  // Compares the result of the last run with the oracle or a plain construction. Throws Error when
  // they differ.
  virtual void check() const = 0;
  virtual WorkCounts counts() const { return {}; }
};

// kReduced keeps the kind of work and cuts its sizes, so that checking every case takes seconds.
enum class Scale { kFull, kReduced };

// What works are made of. Outlives them.
struct BenchmarkContext {
  const Catalog& maskers;
  ProblemStore& problems;
};

struct BenchmarkCase {
  // "dense/1x8x8x2048x2048x64/float32/causal": no blanks, unique; begins with the table's name.
  std::string name;
  std::function<std::unique_ptr<BenchmarkWork>(const BenchmarkContext&, const Threads&)> make;

  std::string table() const { return name.substr(0, name.find('/')); }
};

// Every case, table by table.
std::vector<BenchmarkCase> benchmark_cases(Scale scale);

// Throws Error unless `holds`: the judgement of a check.
void require(bool holds, const std::string& what);

}  // namespace maskerade
