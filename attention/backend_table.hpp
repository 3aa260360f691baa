#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/backend/backend.hpp"
#include "attention/cpu/cost_model.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

struct BackendOptions {
  Threads threads = Threads::all_processors();
  // By which the cpu backend chooses kernels.
  CostModel costs = CostModel::defaults();
  // Keys that the sequence is going to have: a device makes room for them at once. Not a limit.
  std::int64_t key_capacity = 0;
};

// One backend: a device that pipelines can select and attend on.
struct BackendRow {
  std::string_view name;  // in the YAML: `devices: [cuda]`
  std::string_view summary;
  // Why there is none on this machine, or in this build; "" when there is.
  std::string (*absence)();
  // Why it cannot take a problem of this shape; "" when it can.
  std::string (*refusal)(const AttentionShape& shape);
  // The storage type whose rounding its kernels' arithmetic has for such inputs.
  DType (*arithmetic)(DType dtype, std::int64_t head_dim);
  // The name of the device that it uses; "" for the processor.
  std::string (*device_name)();
  // Opens it on the inputs.
  std::unique_ptr<Backend> (*open)(const AttentionInputs& inputs, const BackendOptions& options);
};

// Every backend; "cpu" first.
std::span<const BackendRow> backend_table() noexcept;
std::vector<std::string> backend_names();
// Throws Error, listing those that there are, for an unknown name.
const BackendRow& find_backend(std::string_view name);

// Opens a backend. Throws UnavailableError with the reason when it is absent or refuses the shape,
// Error for an unknown name, and what opening throws.
std::unique_ptr<Backend> open_backend(std::string_view name,
                                      const AttentionInputs& inputs,
                                      const BackendOptions& options = {});

}  // namespace maskerade
