#include "attention/cuda/detail/matrix_product.hpp"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif
#include <fmt/format.h>

#include <array>

#include "framework/base/error.hpp"
#include "framework/base/system_library.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"

namespace maskerade::cuda {
#if __has_include(<cublasLt.h>)
namespace {

constexpr std::int64_t kWorkspaceBytes = std::int64_t{32} << 20;
constexpr int kMostAlgorithms = 8;

// The functions of cuBLASLt that are called.
struct Functions {
  decltype(cublasLtCreate)* create = nullptr;
  decltype(cublasLtDestroy)* destroy = nullptr;
  decltype(cublasLtMatmulDescCreate)* create_product = nullptr;
  decltype(cublasLtMatmulDescDestroy)* destroy_product = nullptr;
  decltype(cublasLtMatmulDescSetAttribute)* set_product = nullptr;
  decltype(cublasLtMatrixLayoutCreate)* create_layout = nullptr;
  decltype(cublasLtMatrixLayoutDestroy)* destroy_layout = nullptr;
  decltype(cublasLtMatmulPreferenceCreate)* create_preference = nullptr;
  decltype(cublasLtMatmulPreferenceDestroy)* destroy_preference = nullptr;
  decltype(cublasLtMatmulPreferenceSetAttribute)* set_preference = nullptr;
  decltype(cublasLtMatmulAlgoGetHeuristic)* find_algorithm = nullptr;
  decltype(cublasLtMatmul)* multiply = nullptr;
};

// Throws Error where cuBLASLt is not found or lacks one of them.
Functions find_functions() {
  const SystemLibrary library = SystemLibrary::open({"libcublasLt.so.13", "libcublasLt.so.12"});
  if (!library.is_open()) throw Error("cuBLASLt was not found: " + library.problem());
  Functions found;
  if (library.find("cublasLtCreate", found.create) &&
      library.find("cublasLtDestroy", found.destroy) &&
      library.find("cublasLtMatmulDescCreate", found.create_product) &&
      library.find("cublasLtMatmulDescDestroy", found.destroy_product) &&
      library.find("cublasLtMatmulDescSetAttribute", found.set_product) &&
      library.find("cublasLtMatrixLayoutCreate", found.create_layout) &&
      library.find("cublasLtMatrixLayoutDestroy", found.destroy_layout) &&
      library.find("cublasLtMatmulPreferenceCreate", found.create_preference) &&
      library.find("cublasLtMatmulPreferenceDestroy", found.destroy_preference) &&
      library.find("cublasLtMatmulPreferenceSetAttribute", found.set_preference) &&
      library.find("cublasLtMatmulAlgoGetHeuristic", found.find_algorithm) &&
      library.find("cublasLtMatmul", found.multiply)) {
    return found;
  }
  throw Error(library.path() + " lacks functions of cuBLASLt");
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(fmt::format("{}: cuBLAS status {}", call, static_cast<int>(status)));
}

}  // namespace

struct MatrixProduct::State {
  State(std::int64_t size, cudaStream_t on)
      : functions(find_functions()), stream(on), workspace(kWorkspaceBytes, on) {
    check(functions.create(&handle), "cublasLtCreate");
    check(functions.create_product(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    // cuBLASLt's matrices are stored by columns. With its first operand transposed, both matrices
    // are read along contiguous memory, and c = a b^T for matrices stored by rows.
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check(functions.set_product(product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                sizeof(transposed)),
          "cublasLtMatmulDescSetAttribute");
    const auto extent = static_cast<std::uint64_t>(size);
    check(functions.create_layout(&layout, CUDA_R_16BF, extent, extent, size),
          "cublasLtMatrixLayoutCreate");
    check(functions.create_preference(&preference), "cublasLtMatmulPreferenceCreate");
    const auto most = static_cast<std::uint64_t>(kWorkspaceBytes);
    check(functions.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                   sizeof(most)),
          "cublasLtMatmulPreferenceSetAttribute");
    check(functions.find_algorithm(handle, product, layout, layout, layout, layout, preference,
                                   kMostAlgorithms, recommended.data(), &count),
          "cublasLtMatmulAlgoGetHeuristic");
    if (count == 0) throw Error("cuBLASLt recommends no algorithm for a bfloat16 product");
  }
  ~State() {
    if (preference != nullptr) functions.destroy_preference(preference);
    if (layout != nullptr) functions.destroy_layout(layout);
    if (product != nullptr) functions.destroy_product(product);
    if (handle != nullptr) functions.destroy(handle);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Functions functions;
  cudaStream_t stream;
  DeviceBuffer<std::byte> workspace;
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t layout = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  std::array<cublasLtMatmulHeuristicResult_t, kMostAlgorithms> recommended = {};
  int count = 0;
};

MatrixProduct::MatrixProduct(std::int64_t size, cudaStream_t stream)
    : state_(std::make_unique<State>(size, stream)) {}

int MatrixProduct::algorithms() const noexcept { return state_->count; }

void MatrixProduct::multiply(int algorithm,
                             const std::uint16_t* a,
                             const std::uint16_t* b,
                             std::uint16_t* c) {
  State& state = *state_;
  const float one = 1;
  const float zero = 0;
  check(state.functions.multiply(state.handle, state.product, &one, a, state.layout, b,
                                 state.layout, &zero, c, state.layout, c, state.layout,
                                 &state.recommended.at(static_cast<std::size_t>(algorithm)).algo,
                                 state.workspace.data(), kWorkspaceBytes, state.stream),
        "cublasLtMatmul");
}
#else

struct MatrixProduct::State {};
MatrixProduct::MatrixProduct(std::int64_t, cudaStream_t) {
  throw Error("this build cannot call cuBLASLt: it was built without cublasLt.h");
}
int MatrixProduct::algorithms() const noexcept { return 0; }
void MatrixProduct::multiply(int, const std::uint16_t*, const std::uint16_t*, std::uint16_t*) {}

#endif

MatrixProduct::~MatrixProduct() = default;

}  // namespace maskerade::cuda
