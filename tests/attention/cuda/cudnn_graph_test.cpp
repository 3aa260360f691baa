// Whether the cuDNN that is installed has engines for the graphs of CudnnAttentionGraph. It is
// asked about a device that is described in JSON, so that no device is needed.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/detail/cudnn_attention_graph.hpp"
#include "framework/base/error.hpp"

namespace maskerade::cuda {
namespace {

// The first version of cuDNN that can be asked about a described device.
constexpr std::size_t kFirstWithDescribedDevices = 91100;

// An H200.
constexpr const char* kDescribedDevice =
    R"({"cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000, "deviceName": "NVIDIA H200",
        "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
        "regsPerBlock": 65536, "multiProcessorCount": 132, "smClockRateKHz": 1980000,
        "memClockRateKHz": 3201000, "l2CacheSize": 62914560, "warpSize": 32,
        "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
        "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "pciDeviceId": 0,
        "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
        "isTccDriver": 0, "supportCoopLaunch": 1, "totalGlobalMem": 150000000000})";

CudnnDescriptor describe_device(const CudnnFunctions& cudnn) {
  CudnnDescriptor device(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
             static_cast<std::int64_t>(std::strlen(kDescribedDevice)), kDescribedDevice);
  device.finalize();
  return device;
}

// Whether libcuda.so.1 could be loaded, which cuDNN's engines look for. Where no driver is
// installed, the toolkit's stub of the same name is loaded instead.
bool has_driver_library() {
  return dlopen("libcuda.so.1", RTLD_NOW) != nullptr ||
         dlopen(MASKERADE_TEST_DRIVER_STUB, RTLD_NOW) != nullptr;
}

struct Problem {
  AttentionShape shape;
  DType dtype;
  Visibility visibility;
};

// A contiguous tensor [batch, heads, length, head_dim] whose data nobody reads.
TensorView contiguous(const Problem& problem, std::int64_t heads, std::int64_t length) {
  const std::int64_t dim = problem.shape.head_dim;
  return {.data = nullptr,
          .dtype = problem.dtype,
          .batch = problem.shape.batch,
          .heads = heads,
          .length = length,
          .dim = dim,
          .batch_stride = heads * length * dim,
          .head_stride = length * dim,
          .row_stride = dim};
}

AttentionInputs inputs_of(const Problem& problem) {
  const AttentionShape& shape = problem.shape;
  const TensorView keys = contiguous(problem, shape.kv_heads, shape.key_len);
  return {.shape = shape,
          .q = contiguous(problem, shape.query_heads, shape.query_len),
          .k = keys,
          .v = keys,
          .scale = 1,
          .visibility = problem.visibility};
}

// The error of making the problem's graph; "" when there is none.
std::string refusal_of(const CudnnFunctions& cudnn, const Problem& problem) {
  try {
    CudnnAttentionGraph::make(cudnn, inputs_of(problem), nullptr);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CudnnGraph, TheInstalledLibraryHasEnginesForIt) {
  if (!cudnn_library().is_found) GTEST_SKIP() << cudnn_library().reason;
  const CudnnFunctions& cudnn = cudnn_functions();
  if (cudnn.get_version() < kFirstWithDescribedDevices) {
    GTEST_SKIP() << "cuDNN " << cudnn_library().version << " asks for a device";
  }
  if (!has_driver_library()) GTEST_SKIP() << "no libcuda.so.1";
  const CudnnDescriptor device = describe_device(cudnn);
  const Problem problems[] = {
      {{.query_heads = 7, .kv_heads = 7, .query_len = 109632, .key_len = 109632, .head_dim = 128},
       DType::kBFloat16,
       Visibility::all(109632, 109632)},
      {{.query_heads = 4, .kv_heads = 4, .query_len = 8192, .key_len = 8192, .head_dim = 128},
       DType::kBFloat16,
       Visibility::all(8192, 8192)},
      {{.batch = 2,
        .query_heads = 8,
        .kv_heads = 2,
        .query_len = 2048,
        .key_len = 2048,
        .head_dim = 64},
       DType::kFloat16,
       Visibility::causal(2048, 2048)},
      {{.query_heads = 8, .kv_heads = 2, .query_len = 100, .key_len = 1000, .head_dim = 64},
       DType::kBFloat16,
       Visibility::causal(100, 1000)},
      {{.batch = 8,
        .query_heads = 32,
        .kv_heads = 8,
        .query_len = 1,
        .key_len = 65536,
        .head_dim = 128},
       DType::kBFloat16,
       Visibility::causal(1, 65536)}};
  for (const Problem& problem : problems) {
    SCOPED_TRACE(problem.shape.to_string());
    const CudnnGraph graph = CudnnAttentionGraph::make(cudnn, inputs_of(problem), nullptr);
    EXPECT_NO_THROW(find_cudnn_engines(cudnn, graph, &device));
  }
}

TEST(CudnnGraph, SaysWhatItCannotDescribe) {
  if (!cudnn_library().is_found) GTEST_SKIP() << cudnn_library().reason;
  const CudnnFunctions& cudnn = cudnn_functions();
  const AttentionShape shape{
      .query_heads = 2, .kv_heads = 2, .query_len = 3, .key_len = 64, .head_dim = 64};
  EXPECT_EQ(refusal_of(cudnn, {shape, DType::kFloat32, Visibility::all(3, 64)}),
            "cuDNN's fused attention takes float16 and bfloat16, not float32");
  EXPECT_EQ(
      refusal_of(cudnn, {shape, DType::kFloat16, Visibility::at_positions({1, 5, 9}, 64, true)}),
      "cuDNN's fused attention takes causal queries at the last positions of the keys only, and "
      "these "
      "have query_positions of their own");
  EXPECT_EQ(
      refusal_of(cudnn, {shape, DType::kFloat16, Visibility::at_positions({1, 5, 9}, 64, false)}),
      "");
}

}  // namespace
}  // namespace maskerade::cuda
