#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/backend/kernel.hpp"

namespace maskerade {

// One kernel of one backend. A new kernel is a file and a row; what lists, checks, chooses or
// explains kernels reads this table.
struct KernelRow {
  std::string_view name;     // in the YAML: `kernels: [tiles]`
  std::string_view backend;  // its name in the table of backends
  std::string_view serves;   // which inputs and masks, for people
  std::string_view summary;  // what it reads and how, for people
  // Whether it attends to every visible key whatever the mask, so that it can be the dense
  // reference. The first such row of a backend that takes the inputs is.
  bool is_dense = false;
  // Whether its plans depend on the cost model (BackendOptions::costs).
  bool uses_costs = false;
  // nullptr in a build without the backend.
  const Kernel* (*kernel)() = nullptr;
};

// Every kernel, by backend. The first one of each backend is `auto`, which chooses.
std::span<const KernelRow> kernel_table() noexcept;

// The names, each once, in the order of the table.
std::vector<std::string> kernel_names();

// The row of a name for a backend. Throws UnavailableError, listing those that there are, when the
// backend has no kernel of that name.
const KernelRow& find_kernel(std::string_view backend, std::string_view name);

// The kernel of a name for this backend and this mask. Throws UnavailableError, with the reason,
// when there is none or it refuses the mask.
const Kernel& choose_kernel(const Backend& backend,
                            const SelectedMask& mask,
                            std::string_view name);

}  // namespace maskerade
