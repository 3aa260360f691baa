#pragma once

#include "attention/cuda/detail/cudnn_functions.hpp"

#if MASKERADE_HAS_CUDNN_HEADERS
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace maskerade::cuda {

// A descriptor of cuDNN's graph interface. Moves only. All throw Error with cuDNN's own text.
class CudnnDescriptor {
 public:
  CudnnDescriptor(const CudnnFunctions& cudnn, cudnnBackendDescriptorType_t type);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor& operator=(CudnnDescriptor&&) = delete;

  cudnnBackendDescriptor_t get() const noexcept { return descriptor_; }

  void set(cudnnBackendAttributeName_t name,
           cudnnBackendAttributeType_t type,
           std::int64_t count,
           const void* values);
  template <typename Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const Value& value) {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
  }
  void finalize();

 private:
  const CudnnFunctions* cudnn_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

using CudnnDims = std::array<std::int64_t, 4>;

// A tensor of four axes. Virtual: a value within the graph, which has no memory. By value: one
// number, read from host memory.
struct CudnnTensor {
  enum class Kind { kMemory, kVirtual, kByValue };

  std::int64_t id = 0;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  CudnnDims dims = {1, 1, 1, 1};
  CudnnDims strides = {1, 1, 1, 1};  // in elements
  Kind kind = Kind::kMemory;
};

// An operation graph, with the descriptors that it was made of.
struct CudnnGraph {
  std::vector<CudnnDescriptor> parts;
  CudnnDescriptor descriptor;
};

// Describes operations one after the other, and makes of them an operation graph.
class CudnnGraphBuilder {
 public:
  explicit CudnnGraphBuilder(const CudnnFunctions& cudnn) : cudnn_(cudnn) {}

  // A tensor for what an operation gives, contiguous.
  CudnnTensor make_virtual(const CudnnDims& dims, cudnnDataType_t type = CUDNN_DATA_FLOAT);

  // c = a b over the last two axes, in float32. A batch axis of b may divide that of a.
  void multiply(const CudnnTensor& a, const CudnnTensor& b, const CudnnTensor& c);
  // y = mode over x and, where given, b; select, where given, chooses x, else b. axis: of
  // GEN_INDEX.
  struct Pointwise {
    cudnnPointwiseMode_t mode;
    const CudnnTensor& x;
    const CudnnTensor* b = nullptr;
    const CudnnTensor* select = nullptr;
    std::optional<std::int64_t> axis = {};
    cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
  };
  void apply(const Pointwise& operation, const CudnnTensor& y);
  // y = the maximum or the sum of x over the axes in which y has one element.
  void reduce(cudnnReduceTensorOp_t mode, const CudnnTensor& x, const CudnnTensor& y);

  // The graph of everything described. handle: null for one that is only asked about. The builder
  // is empty then.
  CudnnGraph finish(cudnnHandle_t handle);

 private:
  CudnnDescriptor describe(const CudnnTensor& tensor) const;
  void add(CudnnDescriptor operation);

  const CudnnFunctions& cudnn_;
  std::int64_t next_virtual_ = 1000;
  std::vector<CudnnDescriptor> kept_;  // what operations refer to
  std::vector<CudnnDescriptor> operations_;
};

// The engines that heuristics recommend for a graph and that can be used here, best first. device:
// null where the graph has a handle, else a CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR. Throws Error when
// there is none.
std::vector<CudnnDescriptor> find_cudnn_engines(const CudnnFunctions& cudnn,
                                                const CudnnGraph& graph,
                                                const CudnnDescriptor* device);

}  // namespace maskerade::cuda
#endif
