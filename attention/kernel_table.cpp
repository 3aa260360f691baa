#include "attention/kernel_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "attention/cpu/cpu_kernels.hpp"
#include "attention/cuda/cuda_kernels.hpp"

namespace maskerade {
namespace {

// A row's kernel, made on first use.
template <const Kernel& (*make)()>
const Kernel* kernel_of() {
  return &make();
}

// Without nvcc there is no device to open, and no kernel.
#if MASKERADE_HAS_CUDA
#define MASKERADE_CUDA_KERNEL(make) kernel_of<make>
#else
#define MASKERADE_CUDA_KERNEL(make) nullptr
#endif

constexpr std::string_view kAny = "every input and mask";

// clang-format off
constexpr std::array kRows = {
    KernelRow{"auto", "cpu", kAny,
              "for each tile row the one of the others that the cost model predicts to be the fastest",
              false, true, kernel_of<cpu_auto_kernel>},
    KernelRow{"dense", "cpu", kAny, "every visible tile, the mask applied: what a dense kernel does",
              true, false, kernel_of<cpu_dense_kernel>},
    KernelRow{"tiles", "cpu", kAny, "the tiles of 64 keys that hold an active entry",
              false, false, kernel_of<cpu_tiles_kernel>},
    KernelRow{"rows", "cpu", kAny, "the active keys alone, gathered: decode and scattered selections",
              false, true, kernel_of<cpu_rows_kernel>},
    KernelRow{"auto", "cuda", "head_dim up to 256", "rows below 16 queries, tiles from there on",
              false, false, MASKERADE_CUDA_KERNEL(cuda_auto_kernel)},
    KernelRow{"cudnn", "cuda",
              "masks of every visible key; float16 and bfloat16; the last positions when causal",
              "cuDNN's fused attention", true, false, MASKERADE_CUDA_KERNEL(cuda_cudnn_kernel)},
    KernelRow{"dense", "cuda", "head_dim up to 256", "every visible tile, the mask applied",
              true, false, MASKERADE_CUDA_KERNEL(cuda_dense_kernel)},
    KernelRow{"tiles", "cuda", "head_dim up to 256", "the tiles of 64 keys that hold an active entry",
              false, false, MASKERADE_CUDA_KERNEL(cuda_tiles_kernel)},
    KernelRow{"rows", "cuda", "head_dim up to 256", "the active keys alone, gathered",
              false, false, MASKERADE_CUDA_KERNEL(cuda_rows_kernel)},
};
// clang-format on

std::vector<std::string_view> names_of(std::string_view backend) {
  std::vector<std::string_view> names;
  for (const KernelRow& row : kRows) {
    if (row.backend == backend) names.push_back(row.name);
  }
  return names;
}

}  // namespace

std::span<const KernelRow> kernel_table() noexcept { return kRows; }

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const KernelRow& row : kRows) {
    if (std::find(names.begin(), names.end(), row.name) == names.end()) {
      names.emplace_back(row.name);
    }
  }
  return names;
}

const KernelRow& find_kernel(std::string_view backend, std::string_view name) {
  for (const KernelRow& row : kRows) {
    if (row.backend == backend && row.name == name) return row;
  }
  throw UnavailableError(fmt::format("the {} backend has no kernel \"{}\"; it has {}", backend,
                                     name, fmt::join(names_of(backend), ", ")));
}

const Kernel& choose_kernel(const Backend& backend,
                            const SelectedMask& mask,
                            std::string_view name) {
  const KernelRow& row = find_kernel(backend.name(), name);
  // A build without the backend has no Backend either.
  const Kernel& kernel = *row.kernel();
  if (const std::string refusal = kernel.refusal(backend, mask); !refusal.empty()) {
    throw UnavailableError(fmt::format("the kernel \"{}\" of the {} backend does not take this: {}",
                                       name, backend.name(), refusal));
  }
  return kernel;
}

}  // namespace maskerade
