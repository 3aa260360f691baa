#pragma once

#include <memory>
#include <optional>
#include <string>

#include "attention/backend/backend.hpp"

namespace maskerade {

// A kernel of one backend: how it plans a mask and attends to the plan. A row of the table of
// kernels (attention/kernel_table.hpp) names it. Stateless; every function gets a backend of the
// kind that the kernel is for.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Why the kernel cannot attend to this mask on these inputs; "" when it can.
  virtual std::string refusal(const Backend& backend, const SelectedMask& mask) const = 0;
  // Plans the mask, which it does not refuse.
  virtual std::unique_ptr<Plan> plan(Backend& backend, const SelectedMask& mask) const = 0;
  // Attends to a plan of this kernel. `output` holds the result after Backend::fetch.
  virtual void attend(Backend& backend, const Plan& plan, AttentionOutput& output) const = 0;
  // What attending to a plan of this kernel is predicted to take, in nanoseconds of one worker;
  // nullopt where no prediction is made.
  virtual std::optional<double> predicted_ns(const Backend& backend, const Plan& plan) const = 0;
};

}  // namespace maskerade
