#pragma once

#include "attention/cuda/detail/cudnn_functions.hpp"

#if MASKERADE_HAS_CUDNN_HEADERS
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace maskerade::cuda {

// Owns a descriptor of cuDNN's graph interface. Can be moved, not copied. Functions throw Error
// with cuDNN's text.
class CudnnDescriptor {
 public:
  CudnnDescriptor(const CudnnFunctions& cudnn, cudnnBackendDescriptorType_t type);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor& operator=(CudnnDescriptor&&) = delete;

  cudnnBackendDescriptor_t get() const noexcept { return descriptor_; }

  // Sets an attribute to values[count] of the type, to one value, or to another descriptor, which
  // must be finalized and outlive this one.
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
  // Ends the setting of attributes: cuDNN checks them.
  void finalize();

 private:
  const CudnnFunctions* cudnn_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

using CudnnDims = std::array<std::int64_t, 4>;

// A tensor of a graph, with four axes.
struct CudnnTensor {
  enum class Kind {
    kMemory,   // in device memory
    kVirtual,  // a result within the graph, without memory of its own
    kByValue,  // one number, read from host memory
  };

  std::int64_t id = 0;  // its name when the graph is executed
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  CudnnDims dims = {1, 1, 1, 1};
  CudnnDims strides = {1, 1, 1, 1};  // in elements
  Kind kind = Kind::kMemory;
};

// An operation graph of cuDNN, and the descriptors that it refers to.
struct CudnnGraph {
  std::vector<CudnnDescriptor> parts;
  CudnnDescriptor descriptor;
};

// Builds an operation graph: call make_virtual(), multiply(), apply() and reduce() in the order of
// the operations, then finish(). Functions throw Error with cuDNN's text.
class CudnnGraphBuilder {
 public:
  explicit CudnnGraphBuilder(const CudnnFunctions& cudnn) : cudnn_(cudnn) {}

  // A new virtual tensor, contiguous, for the result of an operation.
  CudnnTensor make_virtual(const CudnnDims& dims, cudnnDataType_t type = CUDNN_DATA_FLOAT);

  // Adds c = a b, matrix products over the last two axes, summed in float32. The second axis of b,
  // kv heads, may divide that of a, query heads.
  void multiply(const CudnnTensor& a, const CudnnTensor& b, const CudnnTensor& c);
  // An operation on each element of x and, unless null, of b.
  struct Pointwise {
    cudnnPointwiseMode_t mode;
    const CudnnTensor& x;
    const CudnnTensor* b = nullptr;
    const CudnnTensor* select = nullptr;    // BINARY_SELECT: x where it is true, else b
    std::optional<std::int64_t> axis = {};  // GEN_INDEX: whose index each element becomes
    cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
  };
  // Adds the operation with the result y.
  void apply(const Pointwise& operation, const CudnnTensor& y);
  // Adds y = the maximum or the sum of x over the axes in which y has one element.
  void reduce(cudnnReduceTensorOp_t mode, const CudnnTensor& x, const CudnnTensor& y);

  // The graph of all operations, and leaves the builder empty. handle: null for a graph that is
  // only asked about and not executed.
  CudnnGraph finish(cudnnHandle_t handle);

 private:
  CudnnDescriptor describe(const CudnnTensor& tensor) const;
  void add(CudnnDescriptor operation);

  const CudnnFunctions& cudnn_;
  std::int64_t next_virtual_ = 1000;   // id of the next virtual tensor
  std::vector<CudnnDescriptor> kept_;  // descriptors that operations_ refer to
  std::vector<CudnnDescriptor> operations_;
};

// The engines that cuDNN recommends for a graph, best first, at least one. device: null for a graph
// with a handle; otherwise a CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR of the device that is asked about.
// Throws Error when there is no engine.
std::vector<CudnnDescriptor> find_cudnn_engines(const CudnnFunctions& cudnn,
                                                const CudnnGraph& graph,
                                                const CudnnDescriptor* device);

}  // namespace maskerade::cuda
#endif
