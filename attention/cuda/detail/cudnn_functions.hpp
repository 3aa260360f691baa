#pragma once

#if __has_include(<cudnn_graph.h>)
#define MASKERADE_HAS_CUDNN_HEADERS 1
#include <cudnn_graph.h>

#include <string>

#include "attention/cuda/cudnn_library.hpp"

namespace maskerade::cuda {

// Pointers to the functions of cuDNN that this project calls. They are looked up in the library at
// run time, so that the program starts without it.
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

  // Throws Error unless the status is success; its text holds the call, cuDNN's name of the status
  // and cuDNN's last message.
  void check(cudnnStatus_t status, const char* call) const;
};

// The functions of cudnn_library(). Throws Error with its reason when cuDNN is not found. [any
// thread]
const CudnnFunctions& cudnn_functions();

}  // namespace maskerade::cuda
#else
#define MASKERADE_HAS_CUDNN_HEADERS 0
#endif
