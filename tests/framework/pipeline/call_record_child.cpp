// call_record_child DESCRIPTOR MASKER WHERE: notes its calls in the record that DESCRIPTOR is open
// for, and selects with a masker of aborting.cpp.
#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "framework/plugin/call_record.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

int main(int, char** arguments) {
  using namespace maskerade;
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  void* const memory = mmap(nullptr, sizeof(CallRecord), PROT_READ | PROT_WRITE, MAP_SHARED,
                            std::atoi(arguments[1]), 0);
  if (memory == MAP_FAILED) return 3;
  CallRecord::use(static_cast<CallRecord*>(memory));
  const TestProblem problem({1, 2, 1, 70, 70, 4}, Visibility::causal(70, 70));
  run({use("sink", {{"", {"4"}}}), use(arguments[2], {{"", {arguments[3]}}})}, problem, {}, 2);
  return 0;
}
