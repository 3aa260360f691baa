// call_record_child DESCRIPTOR MASKER WHERE: notes its calls in the record that DESCRIPTOR is open
// for, and selects with a masker of aborting.cpp.
#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "framework/plugin/call_record.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

int main(int, char** arguments) {
  using namespace maskerade;
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const SharedCallRecord shared(std::atoi(arguments[1]));
  CallRecord::use(&shared.record());
  const TestProblem problem({1, 2, 1, 70, 70, 4}, Visibility::causal(70, 70));
  run({use("sink", {{"", {"4"}}}), use(arguments[2], {{"", {arguments[3]}}})}, problem, {}, 2);
  CallRecord::use(nullptr);
  return 0;
}
