#include "attention/cuda/detail/cudnn_graph_builder.hpp"

#if MASKERADE_HAS_CUDNN_HEADERS
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade::cuda {
namespace {

constexpr std::int64_t kAlignmentBytes = 16;
constexpr std::int64_t kMostEngines = 16;

}  // namespace

CudnnDescriptor::CudnnDescriptor(const CudnnFunctions& cudnn, cudnnBackendDescriptorType_t type)
    : cudnn_(&cudnn) {
  cudnn.check(cudnn.create_descriptor(type, &descriptor_), "cudnnBackendCreateDescriptor");
}

CudnnDescriptor::~CudnnDescriptor() {
  if (descriptor_ != nullptr) cudnn_->destroy_descriptor(descriptor_);
}

CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : cudnn_(other.cudnn_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type,
                          std::int64_t count,
                          const void* values) {
  cudnn_->check(cudnn_->set_attribute(descriptor_, name, type, count, values),
                "cudnnBackendSetAttribute");
}

void CudnnDescriptor::finalize() {
  cudnn_->check(cudnn_->finalize(descriptor_), "cudnnBackendFinalize");
}

CudnnTensor CudnnGraphBuilder::make_virtual(const CudnnDims& dims, cudnnDataType_t type) {
  return {.id = next_virtual_++,
          .type = type,
          .dims = dims,
          .strides = {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1},
          .kind = CudnnTensor::Kind::kVirtual};
}

CudnnDescriptor CudnnGraphBuilder::describe(const CudnnTensor& tensor) const {
  CudnnDescriptor described(cudnn_, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const bool is_virtual = tensor.kind == CudnnTensor::Kind::kVirtual;
  const bool is_by_value = tensor.kind == CudnnTensor::Kind::kByValue;
  const auto rank = static_cast<std::int64_t>(tensor.dims.size());
  described.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, tensor.id);
  described.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, tensor.type);
  described.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, rank, tensor.dims.data());
  described.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, rank, tensor.strides.data());
  described.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignmentBytes);
  described.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
  described.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, is_by_value);
  described.finalize();
  return described;
}

void CudnnGraphBuilder::add(CudnnDescriptor operation) {
  operation.finalize();
  operations_.push_back(std::move(operation));
}

void CudnnGraphBuilder::multiply(const CudnnTensor& a, const CudnnTensor& b, const CudnnTensor& c) {
  CudnnDescriptor arithmetic(cudnn_, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  arithmetic.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  arithmetic.finalize();
  CudnnDescriptor operation(cudnn_, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  const std::pair<cudnnBackendAttributeName_t, const CudnnTensor*> tensors[] = {
      {CUDNN_ATTR_OPERATION_MATMUL_ADESC, &a},
      {CUDNN_ATTR_OPERATION_MATMUL_BDESC, &b},
      {CUDNN_ATTR_OPERATION_MATMUL_CDESC, &c}};
  for (const auto& [name, tensor] : tensors) {
    kept_.push_back(describe(*tensor));
    operation.set(name, kept_.back());
  }
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, arithmetic);
  kept_.push_back(std::move(arithmetic));
  add(std::move(operation));
}

void CudnnGraphBuilder::apply(const Pointwise& pointwise, const CudnnTensor& y) {
  CudnnDescriptor arithmetic(cudnn_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  arithmetic.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, pointwise.mode);
  arithmetic.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, pointwise.arithmetic);
  if (pointwise.axis) {
    arithmetic.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, *pointwise.axis);
  }
  arithmetic.finalize();
  CudnnDescriptor operation(cudnn_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, arithmetic);
  const std::pair<cudnnBackendAttributeName_t, const CudnnTensor*> tensors[] = {
      {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, &pointwise.x},
      {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, pointwise.b},
      {CUDNN_ATTR_OPERATION_POINTWISE_TDESC, pointwise.select},
      {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &y}};
  for (const auto& [name, tensor] : tensors) {
    if (tensor == nullptr) continue;
    kept_.push_back(describe(*tensor));
    operation.set(name, kept_.back());
  }
  kept_.push_back(std::move(arithmetic));
  add(std::move(operation));
}

void CudnnGraphBuilder::reduce(cudnnReduceTensorOp_t mode,
                               const CudnnTensor& x,
                               const CudnnTensor& y) {
  CudnnDescriptor arithmetic(cudnn_, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  arithmetic.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, mode);
  arithmetic.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  arithmetic.finalize();
  CudnnDescriptor operation(cudnn_, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  kept_.push_back(describe(x));
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, kept_.back());
  kept_.push_back(describe(y));
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, kept_.back());
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, arithmetic);
  kept_.push_back(std::move(arithmetic));
  add(std::move(operation));
}

CudnnGraph CudnnGraphBuilder::finish(cudnnHandle_t handle) {
  CudnnDescriptor graph(cudnn_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  std::vector<cudnnBackendDescriptor_t> operations;
  for (const CudnnDescriptor& operation : operations_) operations.push_back(operation.get());
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            static_cast<std::int64_t>(operations.size()), operations.data());
  if (handle != nullptr) {
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  }
  graph.finalize();
  std::vector<CudnnDescriptor> parts = std::move(kept_);
  for (CudnnDescriptor& operation : operations_) parts.push_back(std::move(operation));
  operations_.clear();
  return {std::move(parts), std::move(graph)};
}

std::vector<CudnnDescriptor> find_cudnn_engines(const CudnnFunctions& cudnn,
                                                const CudnnGraph& graph,
                                                const CudnnDescriptor* device) {
  CudnnDescriptor heuristics(cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.descriptor);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (device != nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  heuristics.finalize();
  std::vector<CudnnDescriptor> engines;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < kMostEngines; ++i) {
    engines.emplace_back(cudnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(engines.back().get());
  }
  std::int64_t count = 0;
  cudnn.check(cudnn.get_attribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, kMostEngines, &count, raw.data()),
              "cudnnBackendGetAttribute");
  while (static_cast<std::int64_t>(engines.size()) > count) engines.pop_back();
  if (engines.empty()) throw Error("cuDNN has no engine for a problem of this shape and dtype");
  return engines;
}

}  // namespace maskerade::cuda
#endif
