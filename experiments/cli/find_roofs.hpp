#pragma once

#include <optional>

#include "attention/cuda/device_roofs.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/measure/machine_peaks.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// Measures the machine's peaks. Prints a note and returns nullopt where there is too little memory
// for that.
std::optional<MachinePeaks> find_peaks(const Threads& threads);

// Returns the roofs of the CUDA device that an earlier run saved. If there are none and `measures`
// is set, measures and saves them. nullopt: they are not known, or no cell runs on cuda, or there
// is no device. Prints a note where a saved file cannot be used, and where measuring or saving
// fails.
std::optional<DeviceRoofs> find_roofs(const Experiment& experiment, bool measures);

}  // namespace maskerade
