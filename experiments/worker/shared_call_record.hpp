#pragma once

#include "framework/plugin/call_record.hpp"

namespace maskerade {

// A CallRecord in memory that a program and its worker share.
class SharedCallRecord {
 public:
  // A new one. Throws Error when the system has no memory for it.
  SharedCallRecord();
  // The one that an inherited descriptor leads to.
  explicit SharedCallRecord(int descriptor);
  ~SharedCallRecord();
  SharedCallRecord(const SharedCallRecord&) = delete;
  SharedCallRecord& operator=(const SharedCallRecord&) = delete;

  int descriptor() const noexcept { return descriptor_; }
  CallRecord& record() const noexcept { return *record_; }

 private:
  int descriptor_;
  CallRecord* record_ = nullptr;
};

}  // namespace maskerade
