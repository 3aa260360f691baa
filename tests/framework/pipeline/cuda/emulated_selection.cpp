// The selection kernels and the drafts of masks on the CPU: linked before the real ones, beside
// tests/attention/cuda/emulated_runtime.cpp.

#include "framework/mask/cuda/mask_draft.hpp"
#include "framework/tensor/cuda/host_steps.hpp"
#include "tests/framework/select/cuda/emulated_thread.hpp"

namespace maskerade::cuda {

void read_mask(const MaskView& from, const maskerade_cuda_rows& to, cudaStream_t) {
  read_mask_steps(HostSteps(), from, to);
}
void widen_draft(const maskerade_cuda_rows& from, const maskerade_cuda_rows& to, cudaStream_t) {
  widen_draft_steps(HostSteps(), from, to);
}
void sort_samples(const maskerade_cuda_rows& draft, const DraftSamples& to, cudaStream_t) {
  sort_samples_steps(HostSteps(), draft, to);
}
void pack_draft(const DraftWords& source, const CombinedArrays& to, cudaStream_t) {
  combine_masks_steps(HostSteps(), source, to);
}

void multiply(const ProductJob& job, DType dtype, cudaStream_t) {
  if (job.first >= job.last || job.key_count <= 0) return;
  const auto run = [&]<DType kType>() {
    using Kernel = ProductKernel<EmulatedThread, kType>;
    run_selection<Kernel>(Kernel::blocks(job), job);
  };
  if (dtype == DType::kFloat32) run.template operator()<DType::kFloat32>();
  if (dtype == DType::kFloat16) run.template operator()<DType::kFloat16>();
  if (dtype == DType::kBFloat16) run.template operator()<DType::kBFloat16>();
}
void add_top(const SelectJob& job, const ScoreRanks& ranks, cudaStream_t) {
  run_selection<TopKernel<EmulatedThread>>(job.count, job, ranks);
}
void add_draw(const DrawJob& job, cudaStream_t) {
  run_selection<DrawKernel<EmulatedThread>>(job.select.count, job);
}
void count_candidates(const CountJob& job, cudaStream_t) {
  run_selection<CountKernel<EmulatedThread>>(job.select.count, job);
}

}  // namespace maskerade::cuda
