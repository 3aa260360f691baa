// The functions of the CUDA runtime that the project calls, and those of kernels.hpp and roofs.hpp,
// on the CPU. A test program that links this file before the real ones runs the host side of the
// backend, and whole cells, without a device. Device memory is host memory that is filled with 0xFF
// when it is allocated; work on a stream is done at once, or recorded while a graph is captured.

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/roofs.hpp"
#include "framework/mask/cuda/device_mask.hpp"
#include "framework/tensor/cuda/cuda_error.hpp"
#include "framework/tensor/cuda/device_code.hpp"
#include "tests/attention/cuda/run_kernels.hpp"

namespace {

cudaError_t last_error = cudaSuccess;

// Returns the error, which cudaGetLastError() then also gives.
cudaError_t failed(cudaError_t code) { return last_error = code; }

// The device's memory: one allocation may not be larger.
constexpr std::size_t kMemoryBytes = std::size_t{1} << 40;

using Work = std::vector<std::function<void()>>;
Work* recording = nullptr;  // what is being captured; null: nothing

// Gives body() to a stream: runs it, or records it while a graph is captured.
template <typename Body>
void enqueue(const Body& body) {
  if (recording == nullptr) return body();
  recording->emplace_back(body);
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof(*properties));
  std::snprintf(properties->name, sizeof(properties->name), "emulated device");
  properties->major = 9;
  properties->multiProcessorCount = 1;
  properties->l2CacheSize = 1024;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t*, int) {
  return failed(cudaErrorNotSupported);
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t) { return "an error of the emulated device"; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int) {
  std::snprintf(id, static_cast<std::size_t>(size), "0000:00:00.0");
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  if (recording != nullptr) return failed(cudaErrorIllegalState);
  recording = new Work;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = reinterpret_cast<cudaGraph_t>(std::exchange(recording, nullptr));
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* graph, cudaGraph_t recorded, unsigned long long) {
  *graph = reinterpret_cast<cudaGraphExec_t>(new Work(*reinterpret_cast<Work*>(recorded)));
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  for (const auto& body : *reinterpret_cast<Work*>(graph)) body();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Work*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete reinterpret_cast<Work*>(graph);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = reinterpret_cast<cudaEvent_t>(new double(0));
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<double*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  *reinterpret_cast<double*>(event) = std::chrono::duration<double, std::milli>(now).count();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
  *ms = static_cast<float>(*reinterpret_cast<double*>(end) - *reinterpret_cast<double*>(begin));
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  if (recording != nullptr) return failed(cudaErrorStreamCaptureUnsupported);
  if (bytes > kMemoryBytes) return failed(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*memory, 0xFF, bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(
    void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  enqueue([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to,
                              size_t to_pitch,
                              const void* from,
                              size_t from_pitch,
                              size_t width,
                              size_t height,
                              cudaMemcpyKind,
                              cudaStream_t) {
  if (width > to_pitch || width > from_pitch) return failed(cudaErrorInvalidPitchValue);
  enqueue([=] {
    for (size_t row = 0; row < height; ++row) {
      std::memcpy(static_cast<char*>(to) + row * to_pitch,
                  static_cast<const char*>(from) + row * from_pitch, width);
    }
  });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
  enqueue([=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

}  // extern "C"

namespace maskerade {

// MASKERADE_EMULATE_NO_CODE makes this a build without code for the device.
cudaError_t find_device_code() noexcept {
  return std::getenv("MASKERADE_EMULATE_NO_CODE") == nullptr
             ? cudaSuccess
             : failed(cudaErrorNoKernelImageForDevice);
}

}  // namespace maskerade

namespace maskerade::cuda {
namespace {

constexpr unsigned kSeed = 1;

}  // namespace

void find_ranks(const FindRanks& body, std::int64_t tile_rows, cudaStream_t) {
  HostSteps().for_each(tile_rows, body);
  check_launch("find_ranks");
}

void combine_masks(const CombinedWords& source, const CombinedArrays& to, cudaStream_t) {
  combine_masks_steps(HostSteps(), source, to);
}

void plan_tiles(const TilePlan& plan, cudaStream_t) { make_tile_plan(HostSteps(), plan); }
void plan_rows(const RowPlan& plan, cudaStream_t) { make_row_plan(HostSteps(), plan); }

void attend_tiles_sm80(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t) {
  enqueue([=] { emulate_tiles(arguments, plan, dtype, kSeed); });
}
void attend_tiles_sm90(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t) {
  enqueue([=] { emulate_warpgroup_tiles(arguments, plan, dtype, kSeed); });
}
bool can_attend_tiles_sm90(const AttendArguments&, std::int64_t, DType) noexcept { return true; }
void attend_rows_sm80(const AttendArguments& arguments,
                      const RowPlan& plan,
                      DType dtype,
                      cudaStream_t) {
  enqueue([=] { emulate_rows(arguments, plan, dtype, kSeed); });
}
void attend_tiles_plain(const AttendArguments& arguments,
                        const TilePlan& plan,
                        DType dtype,
                        cudaStream_t) {
  enqueue([=] { emulate_plain<TileRowKeys>(arguments, plan, dtype, kSeed); });
}
void attend_rows_plain(const AttendArguments& arguments,
                       const RowPlan& plan,
                       DType dtype,
                       cudaStream_t) {
  enqueue([=] { emulate_plain<ListedRowKeys>(arguments, plan, dtype, kSeed); });
}
void attend_oracle(const OracleArguments& arguments, std::int64_t rows, cudaStream_t) {
  attend_oracle_steps(HostSteps(), arguments, rows);
}
void weigh_rows(const WeighRows& body, std::int64_t rows, cudaStream_t) {
  HostSteps().for_each(rows, body);
}
void merge_tile_parts(const AttendArguments& arguments, const TileLayout& layout, cudaStream_t) {
  enqueue([=] { emulate_merge(arguments, layout, kBlockRows); });
}
void merge_row_parts(const AttendArguments& arguments, const RowLayout& layout, cudaStream_t) {
  enqueue([=] { emulate_merge(arguments, layout, kListRows); });
}
void read_words(const ReadWords& body, std::int64_t count, cudaStream_t) {
  HostSteps().for_each(count, body);
}

void read_ring(const ReadRing& body, std::int64_t calls, cudaStream_t) {
  HostSteps().for_each(calls, body);
}
void fill_random(const FillRandom& body, std::int64_t count, cudaStream_t) {
  HostSteps().for_each(count, body);
}
double multiply_registers(float*, int, int, cudaStream_t) { return 1; }

}  // namespace maskerade::cuda
