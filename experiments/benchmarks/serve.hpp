#pragma once

#include <iosfwd>

#include "experiments/benchmarks/work_pool.hpp"

namespace maskerade {

// Times cases one sample at a time for another program, which so can interleave them with its own.
// Each line of `requests` is answered by one line of JSON, at once:
//
//   NAME THREADS     {"ms": 12.3, "flops": ..., "bytes": ..., "items": ..., "density": ...}
//   peaks THREADS    {"flops_per_second": ..., "read_bytes_per_second": ...}
//   machine          {"machine": "...", "version": "..."}
//   forget           {}, after giving the memory of all cases back
//
// or {"error": "..."}. Returns at the end of the requests. Nothing spins between requests.
void serve(WorkPool& pool, std::istream& requests, std::ostream& answers);

}  // namespace maskerade
