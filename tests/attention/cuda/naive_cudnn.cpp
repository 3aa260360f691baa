// A stand-in for libcudnn.so.9 on the emulated device. It evaluates whatever operation graph it is
// given, tensor by tensor, in float64, and rounds what is stored to its type; it knows nothing of
// attention. It refuses products of matrices of kRefusedDim columns, so that tests see a refusal.

#include <cudnn_graph.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "framework/tensor/dtype.hpp"

namespace {

constexpr std::int64_t kRefusedDim = 96;

// The value of an attribute.
struct Value {
  cudnnBackendAttributeType_t type;
  std::int64_t count;
  std::vector<std::uint64_t> words;  // [count] the bits of each element
};

// What a cudnnBackendDescriptor_t points to.
struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool is_final = false;              // cudnnBackendFinalize() was called
  std::map<int, Value> values;        // by the attribute's name
  const Descriptor* graph = nullptr;  // what an engine evaluates
};

std::string last_error;

// Returns the status, for which cudnnGetLastErrorString() then gives `why`.
cudnnStatus_t refuse(cudnnStatus_t status, const std::string& why) {
  last_error = why;
  return status;
}

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
      return sizeof(bool);
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return sizeof(std::int64_t);
    default:
      return sizeof(int);  // enumerations
  }
}

// An attribute of a descriptor: its value, its first element, and the descriptor that it is. Throw
// std::runtime_error when it is not set.
const Value& value_of(const Descriptor& descriptor, int name) {
  const auto found = descriptor.values.find(name);
  if (found == descriptor.values.end()) {
    throw std::runtime_error("attribute " + std::to_string(name) + " is not set");
  }
  return found->second;
}
std::uint64_t word_of(const Descriptor& descriptor, int name) {
  return value_of(descriptor, name).words.at(0);
}
const Descriptor& part_of(const Descriptor& descriptor, int name) {
  return *reinterpret_cast<const Descriptor*>(word_of(descriptor, name));
}

using Dims = std::array<std::int64_t, 4>;

// A tensor descriptor.
struct Tensor {
  std::int64_t id;
  cudnnDataType_t type;
  Dims dims, strides;
  bool is_virtual, is_by_value;

  explicit Tensor(const Descriptor& from)
      : id(static_cast<std::int64_t>(word_of(from, CUDNN_ATTR_TENSOR_UNIQUE_ID))),
        type(static_cast<cudnnDataType_t>(word_of(from, CUDNN_ATTR_TENSOR_DATA_TYPE))),
        is_virtual(word_of(from, CUDNN_ATTR_TENSOR_IS_VIRTUAL) != 0),
        is_by_value(word_of(from, CUDNN_ATTR_TENSOR_IS_BY_VALUE) != 0) {
    for (std::size_t axis = 0; axis < dims.size(); ++axis) {
      dims[axis] =
          static_cast<std::int64_t>(value_of(from, CUDNN_ATTR_TENSOR_DIMENSIONS).words.at(axis));
      strides[axis] =
          static_cast<std::int64_t>(value_of(from, CUDNN_ATTR_TENSOR_STRIDES).words.at(axis));
    }
  }
  std::int64_t size() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
};

// The project's own dtype of the same elements, if it has one.
std::optional<maskerade::DType> shared_type(cudnnDataType_t type) {
  if (type == CUDNN_DATA_FLOAT) return maskerade::DType::kFloat32;
  if (type == CUDNN_DATA_HALF) return maskerade::DType::kFloat16;
  if (type == CUDNN_DATA_BFLOAT16) return maskerade::DType::kBFloat16;
  return std::nullopt;
}

double load(cudnnDataType_t type, const void* memory, std::int64_t at) {
  if (type == CUDNN_DATA_INT32) return static_cast<const std::int32_t*>(memory)[at];
  return maskerade::load_float(shared_type(type).value(), memory, static_cast<std::size_t>(at));
}

void store(cudnnDataType_t type, void* memory, std::int64_t at, double value) {
  const maskerade::DType shared = shared_type(type).value();
  const auto narrow = static_cast<float>(value);
  char* target =
      static_cast<char*>(memory) + at * static_cast<std::int64_t>(maskerade::size_of(shared));
  maskerade::convert_from_float(shared, &narrow, 1, target);
}

// The value as a virtual tensor of the type holds it.
double rounded(cudnnDataType_t type, double value) {
  if (type == CUDNN_DATA_BOOLEAN || type == CUDNN_DATA_INT32) return value;
  std::array<char, 4> memory = {};
  store(type, memory.data(), 0, value);
  return load(type, memory.data(), 0);
}

// The evaluation of a graph over the pointers of a pack.
class Evaluation {
 public:
  explicit Evaluation(const Descriptor& pack) {
    const Value& ids = value_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const Value& pointers = value_of(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (std::size_t i = 0; i < ids.words.size(); ++i) {
      pointers_[static_cast<std::int64_t>(ids.words[i])] =
          reinterpret_cast<void*>(pointers.words.at(i));
    }
  }

  // Evaluates an operation. Throws std::runtime_error when it is of a kind that attention does not
  // use.
  void run(const Descriptor& operation) {
    switch (operation.type) {
      case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return multiply(operation);
      case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        return reduce(operation);
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return apply(operation);
      default:
        throw std::runtime_error("an operation that is no product, reduction or pointwise one");
    }
  }

 private:
  // Reads and writes the elements of a tensor, contiguous in the order of its axes.
  std::vector<double> read(const Tensor& tensor) const {
    if (tensor.is_virtual) return virtuals_.at(tensor.id);
    const void* memory = pointers_.at(tensor.id);
    std::vector<double> values;
    for_each(tensor.dims, [&](const Dims& at) {
      std::int64_t offset = 0;
      for (std::size_t axis = 0; axis < at.size(); ++axis)
        offset += at[axis] * tensor.strides[axis];
      values.push_back(load(tensor.type, memory, offset));
    });
    return values;
  }
  void write(const Tensor& tensor, const std::vector<double>& values) {
    if (tensor.is_virtual) {
      std::vector<double>& kept = virtuals_[tensor.id];
      kept.clear();
      for (const double value : values) kept.push_back(rounded(tensor.type, value));
      return;
    }
    void* memory = pointers_.at(tensor.id);
    std::size_t next = 0;
    for_each(tensor.dims, [&](const Dims& at) {
      std::int64_t offset = 0;
      for (std::size_t axis = 0; axis < at.size(); ++axis)
        offset += at[axis] * tensor.strides[axis];
      store(tensor.type, memory, offset, values[next++]);
    });
  }
  template <typename Body>
  static void for_each(const Dims& dims, const Body& body) {
    Dims at = {};
    for (at[0] = 0; at[0] < dims[0]; ++at[0])
      for (at[1] = 0; at[1] < dims[1]; ++at[1])
        for (at[2] = 0; at[2] < dims[2]; ++at[2])
          for (at[3] = 0; at[3] < dims[3]; ++at[3]) body(at);
  }
  // Where the element `at` stands in a contiguous tensor of these dims; axes of one element are
  // broadcast.
  static std::size_t index_of(const Dims& dims, const Dims& at) {
    std::int64_t index = 0;
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      index = index * dims[axis] + (dims[axis] == 1 ? 0 : at[axis]);
    }
    return static_cast<std::size_t>(index);
  }

  void multiply(const Descriptor& operation) {
    const Tensor a(part_of(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC));
    const Tensor b(part_of(operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC));
    const Tensor c(part_of(operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC));
    const std::vector<double> left = read(a);
    const std::vector<double> right = read(b);
    if (a.dims[3] != b.dims[2]) throw std::runtime_error("a product of matrices that do not fit");
    std::vector<double> values;
    for_each(c.dims, [&](const Dims& at) {
      const std::int64_t head = at[1] * b.dims[1] / a.dims[1];
      double sum = 0;
      for (std::int64_t i = 0; i < a.dims[3]; ++i) {
        sum += left[index_of(a.dims, {at[0], at[1], at[2], i})] *
               right[index_of(b.dims, {at[0], head, i, at[3]})];
      }
      values.push_back(sum);
    });
    write(c, values);
  }

  void reduce(const Descriptor& operation) {
    const Tensor x(part_of(operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC));
    const Tensor y(part_of(operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC));
    const auto mode = static_cast<cudnnReduceTensorOp_t>(word_of(
        part_of(operation, CUDNN_ATTR_OPERATION_REDUCTION_DESC), CUDNN_ATTR_REDUCTION_OPERATOR));
    const bool is_max = mode == CUDNN_REDUCE_TENSOR_MAX;
    if (!is_max && mode != CUDNN_REDUCE_TENSOR_ADD)
      throw std::runtime_error("a reduction that is neither a maximum nor a sum");
    const std::vector<double> from = read(x);
    std::vector<double> values(static_cast<std::size_t>(y.size()),
                               is_max ? -std::numeric_limits<double>::infinity() : 0);
    for_each(x.dims, [&](const Dims& at) {
      double& value = values[index_of(y.dims, at)];
      const double next = from[index_of(x.dims, at)];
      value = is_max ? std::max(value, next) : value + next;
    });
    write(y, values);
  }

  void apply(const Descriptor& operation) {
    const Descriptor& how = part_of(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const auto mode = static_cast<cudnnPointwiseMode_t>(word_of(how, CUDNN_ATTR_POINTWISE_MODE));
    const Tensor x(part_of(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    const Tensor y(part_of(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    const std::vector<double> from =
        mode == CUDNN_POINTWISE_GEN_INDEX ? std::vector<double>() : read(x);
    std::vector<double> values;
    if (operation.values.count(CUDNN_ATTR_OPERATION_POINTWISE_BDESC) == 0) {
      for_each(y.dims, [&](const Dims& at) {
        if (mode == CUDNN_POINTWISE_GEN_INDEX) {
          values.push_back(static_cast<double>(at.at(word_of(how, CUDNN_ATTR_POINTWISE_AXIS))));
          return;
        }
        const double value = from[index_of(x.dims, at)];
        if (mode == CUDNN_POINTWISE_EXP) return values.push_back(std::exp(value));
        if (mode == CUDNN_POINTWISE_LOG) return values.push_back(std::log(value));
        throw std::runtime_error("an unknown pointwise operation of one tensor");
      });
      return write(y, values);
    }
    const Tensor b(part_of(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
    const std::vector<double> second = read(b);
    std::vector<double> chosen;
    if (mode == CUDNN_POINTWISE_BINARY_SELECT) {
      chosen = read(Tensor(part_of(operation, CUDNN_ATTR_OPERATION_POINTWISE_TDESC)));
    }
    for_each(y.dims, [&](const Dims& at) {
      const double p = from[index_of(x.dims, at)];
      const double q = second[index_of(b.dims, at)];
      switch (mode) {
        case CUDNN_POINTWISE_ADD:
          return values.push_back(p + q);
        case CUDNN_POINTWISE_SUB:
          return values.push_back(p - q);
        case CUDNN_POINTWISE_MUL:
          return values.push_back(p * q);
        case CUDNN_POINTWISE_DIV:
          return values.push_back(p / q);
        case CUDNN_POINTWISE_CMP_GE:
          return values.push_back(p >= q ? 1 : 0);
        case CUDNN_POINTWISE_BINARY_SELECT:
          return values.push_back(chosen[index_of(y.dims, at)] != 0 ? p : q);
        default:
          throw std::runtime_error("an unknown pointwise operation of two tensors");
      }
    });
    write(y, values);
  }

  std::map<std::int64_t, void*> pointers_;
  std::map<std::int64_t, std::vector<double>> virtuals_;
};

const Descriptor& descriptor_of(cudnnBackendDescriptor_t raw) {
  return *static_cast<const Descriptor*>(raw);
}

// Whether a graph multiplies a left matrix of kRefusedDim columns.
bool is_refused(const Descriptor& graph) {
  const Value& operations = value_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  return std::any_of(operations.words.begin(), operations.words.end(), [](std::uint64_t word) {
    const auto& operation = *reinterpret_cast<const Descriptor*>(word);
    return operation.type == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR &&
           Tensor(part_of(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC)).dims[3] == kRefusedDim;
  });
}

}  // namespace

extern "C" {

size_t cudnnGetVersion(void) { return 91900; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_NOT_SUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED" : "a failure";
}
void cudnnGetLastErrorString(char* message, size_t size) {
  std::snprintf(message, size, "%s", last_error.c_str());
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = reinterpret_cast<cudnnHandle_t>(new int(0));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Descriptor{type, false, {}, nullptr};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Descriptor*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t raw,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type,
                                       int64_t count,
                                       const void* elements) {
  auto& descriptor = *static_cast<Descriptor*>(raw);
  if (descriptor.is_final) return refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor is final");
  Value value{type, count, {}};
  const std::size_t size = size_of(type);
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, static_cast<const char*>(elements) + i * static_cast<std::int64_t>(size),
                size);
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR && !reinterpret_cast<Descriptor*>(word)->is_final) {
      return refuse(CUDNN_STATUS_BAD_PARAM, "a part is not final");
    }
    value.words.push_back(word);
  }
  descriptor.values[name] = value;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t raw) {
  auto& descriptor = *static_cast<Descriptor*>(raw);
  descriptor.is_final = true;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const raw,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t,
                                       int64_t requested,
                                       int64_t* count,
                                       void* elements) {
  const Descriptor& descriptor = descriptor_of(raw);
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && requested > 0) {
    const Descriptor& graph = part_of(descriptor, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    if (is_refused(graph)) {
      return refuse(CUDNN_STATUS_NOT_SUPPORTED, "no head_dim of " + std::to_string(kRefusedDim));
    }
    auto& engine = *static_cast<Descriptor*>(static_cast<cudnnBackendDescriptor_t*>(elements)[0]);
    engine.graph = &graph;
    engine.is_final = true;
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
  }
  if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
    *static_cast<std::int64_t*>(elements) = 64;
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
  }
  return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute that is not asked for");
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t,
                                  cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  try {
    const Descriptor& engine =
        part_of(descriptor_of(plan), CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    Evaluation evaluation(descriptor_of(pack));
    for (const std::uint64_t word : value_of(*engine.graph, CUDNN_ATTR_OPERATIONGRAPH_OPS).words) {
      evaluation.run(*reinterpret_cast<const Descriptor*>(word));
    }
    return CUDNN_STATUS_SUCCESS;
  } catch (const std::exception& error) {
    return refuse(CUDNN_STATUS_EXECUTION_FAILED, error.what());
  }
}

}  // extern "C"
