#include "experiments/run/device_facts.hpp"

#include "attention/backend_table.hpp"
#include "experiments/run/cell_checks.hpp"

namespace maskerade {
namespace {

// The roofs of a CUDA device as peaks; absent without roofs, and for plain kernels, which no matrix
// unit helps.
std::optional<MachinePeaks> peaks_of(const std::optional<DeviceRoofs>& roofs, DType arithmetic) {
  if (!roofs || arithmetic == DType::kFloat32) return std::nullopt;
  return MachinePeaks{.flops_per_second = roofs->matrix_flops_per_second,
                      .read_bytes_per_second = roofs->copy_bytes_per_second,
                      .flops_source = roofs->matrix_source,
                      .l2_bytes_per_second = roofs->l2_read_bytes_per_second};
}

}  // namespace

void describe_device(const CheckSpec& check, const RunOptions& options, CellResult& result) {
  const BackendRow& backend = find_backend(result.device);
  const std::string device = backend.device_name();
  const bool is_absent = !backend.absence().empty();
  const bool is_processor = device.empty() && !is_absent;
  if (!is_processor) result.peaks.reset();
  if (is_absent) return;
  if (!is_processor) result.machine += "; " + device;
  if (!result.facts) return;
  const DType dtype = result.facts->dtype;
  const std::int64_t head_dim = result.facts->shape.head_dim;
  const DType arithmetic = backend.arithmetic(dtype, head_dim);
  if (!is_processor) {
    result.peaks = peaks_of(options.roofs, arithmetic);
  } else if (result.peaks) {
    result.peaks = peaks_for(*result.peaks, dtype, head_dim);
  }
  set_tolerance(check, arithmetic, result);
}

}  // namespace maskerade
