#include "attention/cuda/detail/cudnn_attention_graph.hpp"

#if MASKERADE_HAS_CUDNN_HEADERS
#include <fmt/format.h>

#include "framework/base/error.hpp"

namespace maskerade::cuda {
namespace {

constexpr std::int64_t kRowAxis = 2;
constexpr std::int64_t kKeyAxis = 3;
// The first version of cuDNN whose softmax takes logits of -inf.
constexpr std::size_t kFirstWithInfinity = 91000;

cudnnDataType_t storage_of(DType dtype) {
  if (dtype == DType::kFloat16) return CUDNN_DATA_HALF;
  if (dtype == DType::kBFloat16) return CUDNN_DATA_BFLOAT16;
  throw Error(
      fmt::format("cuDNN's fused attention takes float16 and bfloat16, not {}", name_of(dtype)));
}

// A tensor [batch, heads, length, dim] as a view has it.
CudnnTensor tensor_of(std::int64_t id, cudnnDataType_t type, const TensorView& view) {
  return {.id = id,
          .type = type,
          .dims = {view.batch, view.heads, view.length, view.dim},
          .strides = {view.batch_stride, view.head_stride, view.row_stride, 1}};
}

// A contiguous tensor [batch, heads, length, dim] in device memory.
CudnnTensor tensor_of(std::int64_t id, cudnnDataType_t type, const CudnnDims& dims) {
  return {.id = id,
          .type = type,
          .dims = dims,
          .strides = {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1}};
}

// A single number that is given when the graph is executed.
CudnnTensor number(std::int64_t id, cudnnDataType_t type) {
  return {.id = id, .type = type, .kind = CudnnTensor::Kind::kByValue};
}

// Adds operations that replace the logits of invisible keys by the number kMasked, and returns
// their result. is_square: query_len is key_len.
CudnnTensor mask_logits(CudnnGraphBuilder& builder, const CudnnTensor& logits, bool is_square) {
  using Id = CudnnAttentionGraph::Id;
  const CudnnDims& dims = logits.dims;
  CudnnTensor row = builder.make_virtual(dims, CUDNN_DATA_INT32);
  builder.apply({.mode = CUDNN_POINTWISE_GEN_INDEX, .x = logits, .axis = kRowAxis}, row);
  const CudnnTensor key = builder.make_virtual(dims, CUDNN_DATA_INT32);
  builder.apply({.mode = CUDNN_POINTWISE_GEN_INDEX, .x = logits, .axis = kKeyAxis}, key);
  if (!is_square) {
    // The position key_len - query_len + row. Rationale: cuDNN's engines recognise the causal edge
    // only when it is written in these two operations.
    const CudnnTensor key_len = number(Id::kKeyLen, CUDNN_DATA_INT32);
    const CudnnTensor query_len = number(Id::kQueryLen, CUDNN_DATA_INT32);
    const CudnnTensor added = builder.make_virtual(dims, CUDNN_DATA_INT32);
    builder.apply({.mode = CUDNN_POINTWISE_ADD,
                   .x = row,
                   .b = &key_len,
                   .axis = kKeyAxis,
                   .arithmetic = CUDNN_DATA_INT32},
                  added);
    const CudnnTensor position = builder.make_virtual(dims, CUDNN_DATA_INT32);
    builder.apply({.mode = CUDNN_POINTWISE_SUB,
                   .x = added,
                   .b = &query_len,
                   .axis = kKeyAxis,
                   .arithmetic = CUDNN_DATA_INT32},
                  position);
    row = position;
  }
  const CudnnTensor visible = builder.make_virtual(dims, CUDNN_DATA_BOOLEAN);
  builder.apply(
      {.mode = CUDNN_POINTWISE_CMP_GE, .x = row, .b = &key, .arithmetic = CUDNN_DATA_BOOLEAN},
      visible);
  const CudnnTensor masked = number(Id::kMasked, CUDNN_DATA_FLOAT);
  const CudnnTensor result = builder.make_virtual(dims);
  builder.apply(
      {.mode = CUDNN_POINTWISE_BINARY_SELECT, .x = logits, .b = &masked, .select = &visible},
      result);
  return result;
}

}  // namespace

bool CudnnAttentionGraph::is_masked(const AttentionInputs& inputs) {
  const AttentionShape& shape = inputs.shape;
  if (inputs.visibility == Visibility::all(shape.query_len, shape.key_len)) return false;
  if (shape.query_len <= shape.key_len &&
      inputs.visibility == Visibility::causal(shape.query_len, shape.key_len)) {
    return true;
  }
  throw Error(
      "cuDNN's fused attention takes causal queries at the last positions of the keys only, and "
      "these "
      "have query_positions of their own");
}

float CudnnAttentionGraph::masked_logit(const CudnnFunctions& cudnn) {
  return cudnn.get_version() < kFirstWithInfinity ? std::numeric_limits<float>::lowest()
                                                  : -std::numeric_limits<float>::infinity();
}

CudnnGraph CudnnAttentionGraph::make(const CudnnFunctions& cudnn,
                                     const AttentionInputs& inputs,
                                     cudnnHandle_t handle) {
  const AttentionShape& shape = inputs.shape;
  const cudnnDataType_t storage = storage_of(inputs.k.dtype);
  const CudnnTensor q = tensor_of(kQ, storage, inputs.q);
  const CudnnTensor v = tensor_of(kV, storage, inputs.v);
  // K transposed: its last two axes are swapped by their strides.
  const CudnnTensor k = {
      .id = kK,
      .type = storage,
      .dims = {shape.batch, shape.kv_heads, shape.head_dim, shape.key_len},
      .strides = {inputs.k.batch_stride, inputs.k.head_stride, 1, inputs.k.row_stride}};
  const CudnnTensor out = tensor_of(kOut, storage, q.dims);
  const CudnnDims rows = {shape.batch, shape.query_heads, shape.query_len, 1};
  const CudnnDims entries = {shape.batch, shape.query_heads, shape.query_len, shape.key_len};

  CudnnGraphBuilder builder(cudnn);
  const CudnnTensor products = builder.make_virtual(entries);
  builder.multiply(q, k, products);
  const CudnnTensor scale = number(kScale, CUDNN_DATA_FLOAT);
  CudnnTensor logits = builder.make_virtual(entries);
  builder.apply({.mode = CUDNN_POINTWISE_MUL, .x = products, .b = &scale}, logits);
  if (is_masked(inputs)) {
    logits = mask_logits(builder, logits, shape.query_len == shape.key_len);
  }
  const CudnnTensor top = builder.make_virtual(rows);
  builder.reduce(CUDNN_REDUCE_TENSOR_MAX, logits, top);
  const CudnnTensor below = builder.make_virtual(entries);
  builder.apply({.mode = CUDNN_POINTWISE_SUB, .x = logits, .b = &top}, below);
  const CudnnTensor weights = builder.make_virtual(entries);
  builder.apply({.mode = CUDNN_POINTWISE_EXP, .x = below}, weights);
  const CudnnTensor sum = builder.make_virtual(rows);
  builder.reduce(CUDNN_REDUCE_TENSOR_ADD, weights, sum);
  const CudnnTensor log_sum = builder.make_virtual(rows);
  builder.apply({.mode = CUDNN_POINTWISE_LOG, .x = sum}, log_sum);
  builder.apply({.mode = CUDNN_POINTWISE_ADD, .x = top, .b = &log_sum},
                tensor_of(kLse, CUDNN_DATA_FLOAT, rows));
  const CudnnTensor shares = builder.make_virtual(entries, storage);
  builder.apply({.mode = CUDNN_POINTWISE_DIV, .x = weights, .b = &sum}, shares);
  builder.multiply(shares, v, out);
  return builder.finish(handle);
}

}  // namespace maskerade::cuda
#endif
