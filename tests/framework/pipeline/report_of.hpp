#pragma once

#include <stdexcept>
#include <string>

#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// What the masker of that id did in a selection. Throws unless the pipeline has it exactly once.
inline MaskerReport report_of(const Selection& selection, const std::string& id) {
  const MaskerReport* found = nullptr;
  for (const MaskerReport& report : selection.maskers) {
    if (report.id != id) continue;
    if (found != nullptr) throw std::logic_error("two maskers \"" + id + "\" in the selection");
    found = &report;
  }
  if (found == nullptr) throw std::logic_error("no masker \"" + id + "\" in the selection");
  return *found;
}

}  // namespace maskerade
