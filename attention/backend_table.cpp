#include "attention/backend_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "attention/cpu/cpu_backend.hpp"
#include "attention/cuda/cuda_backend.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {
namespace {

constexpr std::array kRows = {
    BackendRow{.name = "cpu",
               .summary = "the processor: vectors, and matrix tiles where it has them",
               .absence = [] { return std::string(); },
               .refusal = [](const AttentionShape&) { return std::string(); },
               .arithmetic = [](DType, std::int64_t) { return DType::kFloat32; },
               .device_name = [] { return std::string(); },
               .open = [](const AttentionInputs& inputs,
                          const BackendOptions& options) -> std::unique_ptr<Backend> {
                 return std::make_unique<CpuBackend>(inputs, options.costs, options.threads);
               }},
    BackendRow{.name = "cuda",
               .summary = "the first CUDA device",
               .absence = [] { return cuda_device().reason; },
               .refusal = cuda_refusal,
               .arithmetic = cuda_arithmetic,
               .device_name = [] { return cuda_device().name; },
               .open =
                   [](const AttentionInputs& inputs, const BackendOptions& options) {
                     return open_cuda_backend(inputs, {.threads = options.threads,
                                                       .key_capacity = options.key_capacity});
                   }},
};

}  // namespace

std::span<const BackendRow> backend_table() noexcept { return kRows; }

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const BackendRow& row : kRows) names.emplace_back(row.name);
  return names;
}

const BackendRow& find_backend(std::string_view name) {
  for (const BackendRow& row : kRows) {
    if (row.name == name) return row;
  }
  throw Error(fmt::format("there is no backend \"{}\"; there are {}", name,
                          fmt::join(backend_names(), ", ")));
}

std::unique_ptr<Backend> open_backend(std::string_view name,
                                      const AttentionInputs& inputs,
                                      const BackendOptions& options) {
  const BackendRow& row = find_backend(name);
  if (const std::string absence = row.absence(); !absence.empty()) throw UnavailableError(absence);
  if (const std::string refusal = row.refusal(inputs.shape); !refusal.empty()) {
    throw UnavailableError(refusal);
  }
  return row.open(inputs, options);
}

}  // namespace maskerade
