#include "experiments/benchmarks/serve.hpp"

#include <exception>
#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "experiments/measure/machine.hpp"
#include "framework/base/error.hpp"
#include "framework/base/parallel.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

nlohmann::json answer(WorkPool& pool, const std::string& request) {
  std::istringstream words(request);
  std::string what;
  words >> what;
  if (what == "machine") {
    return {{"machine", machine_name()}, {"version", program_version()}};
  }
  if (what == "forget") {
    pool.forget_works();
    return nlohmann::json::object();
  }
  int threads = 0;
  if (!(words >> threads)) {
    throw Error("\"" + request + "\" is no request; write a case's name and a number of threads");
  }
  Threads::check_count(threads, "the number of threads");
  if (what == "peaks") {
    const MachinePeaks& peaks = pool.peaks(threads);
    return {{"flops_per_second", peaks.flops_per_second},
            {"read_bytes_per_second", peaks.read_bytes_per_second}};
  }
  BenchmarkWork& work = pool.work(pool.find(what), threads);
  const double ms = sample_ms(work);
  const WorkCounts counts = work.counts();
  return {{"ms", ms},
          {"flops", counts.flops},
          {"peak_flops_per_second", pool.peaks(threads).flops_with(counts.matrix_products)},
          {"bytes", counts.bytes},
          {"items", counts.items},
          {"density", counts.density}};
}

}  // namespace

void serve(WorkPool& pool, std::istream& requests, std::ostream& answers) {
  for (std::string request; std::getline(requests, request);) {
    nlohmann::json reply;
    try {
      reply = answer(pool, request);
    } catch (const std::exception& error) {
      reply = {{"error", storable(error.what())}};
    }
    if (!(answers << reply.dump() << std::endl)) return;  // nobody reads the answers any more
  }
}

}  // namespace maskerade
