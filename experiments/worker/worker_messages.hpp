#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config/assignments.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/cell_host.hpp"

// What the program and its workers say to each other: first the setup and its answer, then requests
// and answers in turn. Each message is the bytes of a struct; reading throws Error on others.
namespace maskerade {

// A library that a worker loads, so that it runs the very bytes that the program has loaded: from a
// descriptor which it inherits, whatever the file holds by now, or, where that is -1, from the
// file, which must still have that hash.
struct InheritedLibrary {
  std::string path;
  std::string sha256;
  int descriptor = -1;
};

// What a worker is there for.
enum class WorkerDuty {
  kRunCells,    // of an experiment, see worker_host.hpp
  kCheckCells,  // of a stress test, see experiments/stress/worker_checker.hpp
};

// All that a worker needs to make the experiment and the options of the program that starts it. To
// check cells it needs the libraries alone.
struct WorkerSetup {
  WorkerDuty duty = WorkerDuty::kRunCells;
  std::string file;  // the experiment's
  std::string text;  // what the file held
  std::vector<Assignment> assignments;
  std::vector<InheritedLibrary> libraries;   // of all maskers at hand
  std::vector<InheritedLibrary> references;  // of their plain references, to check cells
  int threads = 1;
  std::int64_t chunk_rows = 0;
  int call_record = -1;  // descriptor of the memory in which calls of maskers are noted
};
std::string message_of(const WorkerSetup& setup);
WorkerSetup setup_of(const std::string& message);
// The libraries of a catalog, whose descriptors stay the catalog's.
std::vector<InheritedLibrary> inherited_libraries(const Catalog& catalog);
// Loads them in the process that inherits them. Throws PluginError when a file has changed.
Catalog load_inherited(const std::vector<InheritedLibrary>& libraries);

// The answer: "" when the worker is ready, else why it cannot be.
struct WorkerReady {
  std::string failure;
};
std::string message_of(const WorkerReady& ready);
WorkerReady ready_of(const std::string& message);

// What a worker is asked for.
enum class WorkerTask {
  kOpen,     // open the workload of a job; the answer is an OpenedWorkload
  kPrepare,  // make its dense reference, too; the same answer
  kRun,      // run the job; the answer is its result
};
struct WorkerRequest {
  WorkerTask task = WorkerTask::kOpen;
  std::size_t job = 0;                       // its number among all jobs of the experiment
  std::optional<CellResult> described = {};  // of kRun
};
std::string message_of(const WorkerRequest& request);
WorkerRequest request_of(const std::string& message);

std::string message_of(const OpenedWorkload& opened);
OpenedWorkload opened_of(const std::string& message);

}  // namespace maskerade
