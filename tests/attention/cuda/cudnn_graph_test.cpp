// Asks the cuDNN that is installed for engines for the attention graph on a device that is only
// described, so that no device is needed.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/detail/cudnn_attention_graph.hpp"
#include "framework/base/error.hpp"

namespace maskerade::cuda {
namespace {

constexpr std::size_t kFirstWithDescribedDevices = 91100;

// An H200, as cuDNN 9.11 and later describe a device.
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

// Engines that compile for a device ask for a driver's library: where there is none, the toolkit's
// stand-in, which has its name, will do.
bool has_driver_library() {
  return dlopen("libcuda.so.1", RTLD_NOW) != nullptr ||
         dlopen(MASKERADE_TEST_DRIVER_STUB, RTLD_NOW) != nullptr;
}

struct Problem {
  AttentionShape shape;
  DType dtype;
  Visibility visibility;
};

AttentionInputs inputs_of(const Problem& problem) {
  AttentionInputs inputs{problem.shape, {}, {}, {}, 1, problem.visibility};
  inputs.k.dtype = problem.dtype;
  return inputs;
}

AttentionShape shape_of(std::int64_t batch,
                        std::int64_t query_heads,
                        std::int64_t kv_heads,
                        std::int64_t query_len,
                        std::int64_t key_len,
                        std::int64_t head_dim) {
  return {.batch = batch,
          .query_heads = query_heads,
          .kv_heads = kv_heads,
          .query_len = query_len,
          .key_len = key_len,
          .head_dim = head_dim};
}

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
      {shape_of(1, 7, 7, 109632, 109632, 128), DType::kBFloat16, Visibility::all(109632, 109632)},
      {shape_of(1, 4, 4, 8192, 8192, 128), DType::kBFloat16, Visibility::all(8192, 8192)},
      {shape_of(2, 8, 2, 2048, 2048, 64), DType::kFloat16, Visibility::causal(2048, 2048)},
      {shape_of(1, 8, 2, 100, 1000, 64), DType::kBFloat16, Visibility::causal(100, 1000)},
      {shape_of(8, 32, 8, 1, 65536, 128), DType::kBFloat16, Visibility::causal(1, 65536)}};
  for (const Problem& problem : problems) {
    SCOPED_TRACE(problem.shape.to_string());
    const CudnnGraph graph = CudnnAttentionGraph::make(cudnn, inputs_of(problem), nullptr);
    EXPECT_NO_THROW(find_cudnn_engines(cudnn, graph, &device));
  }
}

TEST(CudnnGraph, SaysWhatItCannotDescribe) {
  if (!cudnn_library().is_found) GTEST_SKIP() << cudnn_library().reason;
  const CudnnFunctions& cudnn = cudnn_functions();
  const AttentionShape shape = shape_of(1, 2, 2, 3, 64, 64);
  EXPECT_EQ(refusal_of(cudnn, {shape, DType::kFloat32, Visibility::all(3, 64)}),
            "cuDNN's fused attention takes float16 and bfloat16, not float32");
  EXPECT_EQ(
      refusal_of(cudnn, {shape, DType::kFloat16, Visibility::at_positions({1, 5, 9}, 64, true)}),
      "cuDNN's fused attention knows no positions of sampled queries");
  EXPECT_EQ(
      refusal_of(cudnn, {shape, DType::kFloat16, Visibility::at_positions({1, 5, 9}, 64, false)}),
      "");
}

}  // namespace
}  // namespace maskerade::cuda
