#pragma once

#include "experiments/config/experiment.hpp"

namespace maskerade {

// Prints a note for each pipeline whose `only` excludes every workload.
void note_idle_pipelines(const Experiment& experiment);

// Prints a note for each override that applies to no workload. An override of the whole file, which
// every pipeline has, gets one note only.
void note_idle_overrides(const Experiment& experiment);

}  // namespace maskerade
