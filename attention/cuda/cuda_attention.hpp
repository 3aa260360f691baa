#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/attention_output.hpp"
#include "attention/cuda/matrix_shapes.hpp"
#include "attention/plan.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {

// What the device's second-level cache holds when a timed stage begins.
enum class CudaCache {
  kCold,  // nothing of the problem, and nothing that is yet to be written
  kWarm,  // what was used last
};

// How timed work is handed to the device.
enum class CudaLaunch {
  kEach,   // kernel by kernel
  kGraph,  // recorded before and replayed as a whole: no gaps in which the device waits for the
           // host
};

// The newest family of kernels that a CudaAttention uses: tests and comparisons want older ones
// too.
enum class CudaFamily {
  kSm80,  // products of a warp
  kSm90,  // products of warpgroups, where the device and the shape have them; tiles and dense
};

// The storage type whose rounding the kernels' arithmetic has: float32 where they use no matrix
// products.
DType cuda_arithmetic(DType dtype, std::int64_t head_dim) noexcept;

// A prepared pipeline that selects on the device, where its maskers can. Does not outlive the
// CudaAttention that took it.
class CudaPipeline {
 public:
  CudaPipeline(CudaPipeline&&) noexcept;
  CudaPipeline& operator=(CudaPipeline&&) noexcept;
  ~CudaPipeline();
  // "cuda", "cpu, uploaded", or "cuda; cpu, uploaded: NAME" with the maskers that run on the CPU.
  std::string selection_device() const;
  // Whether nothing runs on the CPU.
  bool is_all_on_device() const noexcept;

 private:
  friend class CudaAttention;
  struct State;
  explicit CudaPipeline(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A mask on the device. Does not outlive the CudaAttention that uploaded or selected it.
class CudaMask {
 public:
  CudaMask(CudaMask&&) noexcept;
  CudaMask& operator=(CudaMask&&) noexcept;
  ~CudaMask();
  // Copied back. Throws Error when a masker added more on the device than it had stated.
  Mask download() const;
  // What the maskers of a selected mask did. Waits, and throws as download().
  std::vector<MaskerReport> maskers() const;

 private:
  friend class CudaAttention;
  struct State;
  explicit CudaMask(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A mask made ready for the kernels, on the device. Does not outlive its mask.
class CudaPlan {
 public:
  CudaPlan(CudaPlan&&) noexcept;
  CudaPlan& operator=(CudaPlan&&) noexcept;
  ~CudaPlan();
  // "tiles sm90", "dense cuDNN 9.19.0": how keys are walked, and the kernel's family.
  std::string kernel_name() const;
  // Bytes of K and V that attend reads, after the union over a row block's rows, or over those of
  // a pair of row blocks (tiles sm90). Waits.
  std::int64_t kv_bytes_touched() const;
  std::int64_t size_bytes() const noexcept;

 private:
  friend class CudaAttention;
  struct State;
  explicit CudaPlan(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What the device's oracle gives.
struct CudaOracle {
  std::vector<double> out;  // [batch, query_heads, query_len, head_dim]; zeros without active keys
  std::vector<double> lse;  // [batch, query_heads, query_len]; -inf without active keys
};

// Attention over one problem on the CUDA device. q, k and v are uploaded once; masks come from the
// host; plans are made on the device without waiting for it. Without a device, or in a build
// without nvcc, the constructor throws Error with the reason of cuda_device(). One thread at a
// time; work goes through one stream. All throw CudaError.
class CudaAttention {
 public:
  // head_dim is at most kMostCudaHeadDim (ShapeError). The views are read here and not kept.
  explicit CudaAttention(const AttentionInputs& inputs, CudaFamily newest = CudaFamily::kSm90);
  ~CudaAttention();
  CudaAttention(const CudaAttention&) = delete;
  CudaAttention& operator=(const CudaAttention&) = delete;

  // Takes a pipeline that was prepared on the same inputs, and copies what its maskers' indexes
  // want on the device. Waits.
  CudaPipeline take(PreparedPipeline prepared);
  // Enqueues the selection: the mask that the pipeline selects on the CPU. Waits for what a masker
  // on the CPU needs alone. Throws PluginError when a masker fails.
  CudaMask select(const CudaPipeline& pipeline, const Threads& threads);
  // Waits for all that was enqueued.
  void synchronize();
  // Copies a mask and waits until it is there. ShapeError when its extent does not fit the shape.
  CudaMask upload(const Mask& mask);
  // Enqueues. kernel: nullopt is rows below 16 queries, where heads share what they read, and tiles
  // from there on.
  CudaPlan plan(const CudaMask& mask, std::optional<Kernel> kernel);
  // The same for every visible key by cuDNN's fused kernel. Throws Error, which says why, where
  // there is no cuDNN or it does not take the problem.
  CudaPlan plan_cudnn();
  // Enqueues; the result waits for download(). How often the keys of a row block are split is a
  // function of the shape alone.
  void attend(const CudaPlan& plan);
  // Overwrites the result on the device, so that a kernel that leaves some of it out shows.
  void poison();
  // The result of the last attend. Throws Error when the plan overflowed its upper bounds.
  void download(const CudaPlan& plan, AttentionOutput& output);

  // Naive float64 attention over exactly the mask's keys, on the device, by the definition; for
  // tests of more rows than the CPU's oracle has time for. Waits.
  CudaOracle attend_oracle(const CudaMask& mask);

  // Milliseconds of what `enqueue` enqueues, by events: from the device's begin of the first to its
  // end of the last, gaps between them included in which the device waits for the host. So a
  // plan's time, of many short kernels, holds such gaps. For a graph `enqueue` allocates nothing.
  double time_ms(const std::function<void()>& enqueue,
                 CudaCache cache,
                 CudaLaunch launch = CudaLaunch::kEach);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade
