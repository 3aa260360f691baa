#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attention/reference/row_masses.hpp"
#include "attention/research_attention.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// Attention over every visible key on a backend: what the cells of a workload are compared with and
// timed beside. By the first kernel of the table that is dense and takes the inputs. Good for the
// inputs that the backend showed when it was made; does not outlive the backend.
struct DenseReference {
  // Attends once, outside any timed region, and compares with the oracle.
  DenseReference(Backend& backend, const CheckSpec& check, const Threads& threads);
  // The same with the oracle's rows given, numbered as in oracle_sample.
  DenseReference(Backend& backend,
                 const CheckSpec& check,
                 std::vector<std::int64_t> rows,
                 const Threads& threads);

  const Mask& mask() const { return selected->on_host(); }
  // Attends to it once more.
  void attend(Backend& backend, AttentionOutput& to) const;

  std::unique_ptr<SelectedMask> selected;  // of every visible key
  KernelPlan planned;
  // Why the dense kernels that stand before this one in the table are unavailable; "" when none
  // does.
  std::string kernel_reason;
  AttentionOutput output;
  RowMasses masses;  // of every visible key
  std::vector<std::int64_t> oracle_rows;
  OracleComparison oracle;
};

// The base of the allowances that rows of a plan with this arithmetic are judged by: the
// experiment's, where it states one.
double tolerance_of(const CheckSpec& check, DType arithmetic);

// Attends to a plan outside any timed region, into memory that was overwritten before, and brings
// the result back.
void attend_once(Backend& backend, const KernelPlan& planned, AttentionOutput& output);

}  // namespace maskerade
