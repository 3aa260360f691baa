#include "experiments/run/dense_reference.hpp"

#include <fmt/format.h>

#include <utility>

#include "attention/reference/row_judgement.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

double tolerance_of(const CheckSpec& check, DType arithmetic) {
  return check.tolerance.value_or(base_allowance(arithmetic));
}

void attend_once(Backend& backend, const KernelPlan& planned, AttentionOutput& output) {
  backend.time(Stage::kAttend, {}, [&] { planned.attend(backend, output); });
  backend.fetch(*planned.plan, output);
}

DenseReference::DenseReference(Backend& backend, const CheckSpec& check, const Threads& threads)
    : DenseReference(
          backend, check, oracle_sample(backend.inputs().shape, check.oracle_rows), threads) {}

DenseReference::DenseReference(Backend& backend,
                               const CheckSpec& check,
                               std::vector<std::int64_t> rows,
                               const Threads& threads)
    : selected(backend.take(Mask::full(backend.inputs().visibility))),
      oracle_rows(std::move(rows)) {
  for (const KernelRow& row : kernel_table()) {
    if (row.backend != backend.name() || !row.is_dense) continue;
    try {
      planned = plan_for(backend, *selected, row.name);
      attend(backend, output);
      break;
    } catch (const UnavailableError& error) {
      planned = {};
      kernel_reason += (kernel_reason.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  if (planned.kernel == nullptr) {
    throw UnavailableError(fmt::format("no dense kernel of the {} backend takes the workload: {}",
                                       backend.name(), kernel_reason));
  }
  masses = row_masses(backend.inputs(), mask(), threads);
  oracle = compare_with_oracle(backend.inputs(), mask(), output, oracle_rows,
                               tolerance_of(check, planned.plan->arithmetic()), threads);
}

void DenseReference::attend(Backend& backend, AttentionOutput& to) const {
  attend_once(backend, planned, to);
}

}  // namespace maskerade
