#pragma once

#if __has_include(<cudnn_graph.h>)
#define MASKERADE_HAS_CUDNN_HEADERS 1
#include <cudnn_graph.h>

#include <string>

#include "attention/cuda/cudnn_library.hpp"

namespace maskerade::cuda {

// The functions of cuDNN's graph interface that are called, found in the library at run time.
struct CudnnFunctions {
  decltype(cudnnGetVersion)* get_version = nullptr;
  decltype(cudnnGetErrorString)* get_error_string = nullptr;
  decltype(cudnnGetLastErrorString)* get_last_error_string = nullptr;  // may be null
  decltype(cudnnCreate)* create = nullptr;
  decltype(cudnnDestroy)* destroy = nullptr;
  decltype(cudnnSetStream)* set_stream = nullptr;
  decltype(cudnnBackendCreateDescriptor)* create_descriptor = nullptr;
  decltype(cudnnBackendDestroyDescriptor)* destroy_descriptor = nullptr;
  decltype(cudnnBackendFinalize)* finalize = nullptr;
  decltype(cudnnBackendSetAttribute)* set_attribute = nullptr;
  decltype(cudnnBackendGetAttribute)* get_attribute = nullptr;
  decltype(cudnnBackendExecute)* execute = nullptr;

  // Throws Error with the call, cuDNN's name of the status and its last message.
  void check(cudnnStatus_t status, const char* call) const;
};

// Of cudnn_library(). Throws Error with its reason when it is not found.
const CudnnFunctions& cudnn_functions();

}  // namespace maskerade::cuda
#else
#define MASKERADE_HAS_CUDNN_HEADERS 0
#endif
