// What must hold of every kernel, asked of a function that attends: a rule knows no backend.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "attention/backend/attention_output.hpp"
#include "attention/reference/row_judgement.hpp"
#include "experiments/rules/violation.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::rules {

using AttendFunction = std::function<AttentionOutput(const AttentionInputs&, const Mask&)>;
// The same with a number of threads.
using ThreadedAttendFunction =
    std::function<AttentionOutput(const AttentionInputs&, const Mask&, int threads)>;

// The largest errors over all rows with keys, see out_error and lse_error.
struct LargestErrors {
  double out = 0;
  double lse = 0;
};

// Every row of `output` agrees with the float64 oracle within the row's allowance (see
// attention/reference/row_judgement.hpp), whose base is that of float32 arithmetic unless another
// is given; a row without active keys has out = 0 and lse = -infinity exactly; nothing is NaN; the
// arrays have the sizes of the shape. errors: also gets the largest errors, unless it is nullptr.
Violations check_output(const AttentionInputs& inputs,
                        const Mask& mask,
                        const AttentionOutput& output,
                        double base = base_allowance(DType::kFloat32),
                        LargestErrors* errors = nullptr);

// The same of what the kernel gives.
Violations check_against_oracle(const AttentionInputs& inputs,
                                const Mask& mask,
                                const AttendFunction& attend,
                                double base = base_allowance(DType::kFloat32));

// The two outputs are the same bit by bit; NaNs of whatever payload count as the same.
Violations check_same_output(const AttentionOutput& found,
                             const AttentionOutput& expected,
                             const AttentionShape& shape);

// The output is the same, bit by bit, a second time and with 1, 2 and 3 threads.
Violations check_output_is_repeatable(const AttentionInputs& inputs,
                                      const Mask& mask,
                                      const ThreadedAttendFunction& attend);

// Merging partial results gives the whole. The keys are cut at `borders`, ascending in
// (0, key_len); attending to the mask within each part gives (out, lse); the parts, weighted with
// exp(lse - m), m the largest lse, sum to what attending to the whole mask gives, within the row's
// allowance. Parts with lse = -infinity are skipped.
Violations check_merge_of_parts(const AttentionInputs& inputs,
                                const Mask& mask,
                                const AttendFunction& attend,
                                std::span<const std::int64_t> borders,
                                double base = base_allowance(DType::kFloat32));

}  // namespace maskerade::rules
