#pragma once

#include <iosfwd>

#include "experiments/benchmarks/work_pool.hpp"

namespace maskerade {

// Times cases for another program, one sample for each request, so that this program can interleave
// them with its own timings. Each line of `requests` is answered at once by one line of JSON:
//
//   NAME THREADS     one sample of a case, see sample_ms(), and its WorkCounts:
//                    {"ms": 12.3, "flops": ..., "peak_flops_per_second": ..., "bytes": ...,
//                     "items": ..., "density": ...}
//   peaks THREADS    {"flops_per_second": ..., "read_bytes_per_second": ...}
//   machine          {"machine": "...", "version": "..."}
//   forget           {}, after it has freed the memory of all cases
//
// A request that fails is answered by {"error": "..."}. Returns at the end of `requests`. No thread
// spins between requests.
void serve(WorkPool& pool, std::istream& requests, std::ostream& answers);

}  // namespace maskerade
