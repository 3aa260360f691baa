#include "experiments/worker/shared_call_record.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "framework/base/error.hpp"

namespace maskerade {

SharedCallRecord::SharedCallRecord()
    : SharedCallRecord(memfd_create("maskerade_calls", MFD_CLOEXEC)) {}

SharedCallRecord::SharedCallRecord(int descriptor) : descriptor_(descriptor) {
  void* memory = MAP_FAILED;
  // Memory that is made larger is zero.
  if (ftruncate(descriptor_, sizeof(CallRecord)) == 0) {
    memory =
        mmap(nullptr, sizeof(CallRecord), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  }
  if (memory == MAP_FAILED) {
    const std::string cause = std::strerror(errno);
    if (descriptor_ >= 0) close(descriptor_);
    throw Error("a program and its worker cannot share memory: " + cause);
  }
  record_ = static_cast<CallRecord*>(memory);
}

SharedCallRecord::~SharedCallRecord() {
  munmap(record_, sizeof(CallRecord));
  close(descriptor_);
}

}  // namespace maskerade
