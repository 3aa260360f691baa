#include "experiments/measure/stopping_rule.hpp"

namespace maskerade {

bool StoppingRule::is_done(double elapsed_ms) {
  const std::size_t repetitions = sparse_ms_.size();
  if (repetitions < least_ || repetitions == 0) return false;
  if (elapsed_ms >= budget_ms_) return true;
  if (repetitions < next_look_) return false;
  // Rationale: every test sorts all samples, and cells of microseconds are repeated many thousand
  // times.
  next_look_ = repetitions + 1 + repetitions / 10;
  return summarize(sparse_ms_).relative_half_width() <= target_ &&
         summarize(dense_ms_).relative_half_width() <= target_;
}

}  // namespace maskerade
