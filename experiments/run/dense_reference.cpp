#include "experiments/run/dense_reference.hpp"

#include <utility>

#include "attention/cpu/attend.hpp"

namespace maskerade {

DenseReference::DenseReference(const AttentionInputs& inputs,
                               const CheckSpec& check,
                               const Threads& threads)
    : DenseReference(inputs, oracle_sample(inputs.shape, check.oracle_rows), threads) {}

DenseReference::DenseReference(const AttentionInputs& inputs,
                               std::vector<std::int64_t> rows,
                               const Threads& threads)
    : mask(Mask::full(inputs.visibility)),
      plan(make_plan(mask, inputs.shape, Kernel::kDense, threads)),
      oracle_rows(std::move(rows)) {
  attend(inputs, plan, threads, output);
  oracle = compare_with_oracle(inputs, mask, output, oracle_rows, threads);
}

}  // namespace maskerade
