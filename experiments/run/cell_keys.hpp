#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

struct Job;

// Makes the keys by which a results database knows the results of jobs: hashes of everything that a
// result depends on.
class CellKeys {
 public:
  // Hashes the libraries and the files that the experiment's pipelines use, each once. Throws
  // DataError when one cannot be read.
  explicit CellKeys(const Experiment& experiment);

  // Masker ids and the SHA-256 of their libraries, in order of first use.
  NamedTexts plugins_of(const Pipeline& pipeline) const;

  // SHA-256 of the resolved cell: names, data, decode steps, pipeline with its routes, libraries,
  // parameters and the files that they name, device, kernel and cost model, seeds, check, measure,
  // machine, threads, program version. `described` is the job's result before it is run, with the
  // facts of its workload; fingerprint is that of its data, "" when this could not be loaded.
  // `pipeline` is the job's, empty for the reference. A second call with the same resolved cell
  // gives another key, the same in every run.
  std::string next_key(const Job& job,
                       const Pipeline& pipeline,
                       const CellResult& described,
                       const std::string& fingerprint);

  // A file that the pipeline's maskers name and that no longer holds what it held when this object
  // was made: what the cell was made of is not known then. "" when there is none.
  std::string changed_file(const Pipeline& pipeline) const;

 private:
  const Experiment& experiment_;
  std::map<std::string, std::string> hashes_;  // by file
  std::map<std::string, int> uses_;            // by key
};

}  // namespace maskerade
