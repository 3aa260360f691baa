#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace maskerade {

// Which maskers a process is in a call of, for another process to read when that one has died. It
// lies in memory that both share; zeros are an empty record. A plain layout of fixed size.
//
// The process that loads maskers calls CallRecord::use() before it loads the first. From then on
// the loading of each library, and each call into it, is noted, on every thread: two relaxed stores
// a call; without a record, nothing.
struct CallRecord {
  static constexpr std::size_t kMaskers = 64;   // calls of further ones are not noted
  static constexpr std::size_t kThreads = 256;  // likewise, of more threads at once
  // A text fills its array with zeros at its end, or is cut.
  struct Masker {
    std::array<char, 64> id;  // empty until the library has told it
    std::array<char, 512> library;
  };
  // Rationale: a line of cache for each, so that threads do not wait for each other's stores.
  struct alignas(64) Call {
    std::atomic<std::uint8_t> masker;  // its number, from 1; 0: the thread is in none
  };

  std::atomic<std::uint32_t> masker_count;
  std::array<Masker, kMaskers> maskers;
  std::array<Call, kThreads> calls;  // by thread

  // The record that this process notes its calls in from now on; nullptr: none. It must outlive all
  // calls and threads that make them.
  static void use(CallRecord* record) noexcept;

  // The number, from 1, of a library that is about to be loaded; the same for the same path. 0 when
  // there is no record in use, or no room in it. [any thread]
  static std::uint8_t number_of(const std::filesystem::path& library);
  // Says the id of the masker of that number. [any thread]
  static void name(std::uint8_t number, std::string_view id);

  // The calling thread is in a call of the masker of that number, until leave(). Calls do not nest.
  static void enter(std::uint8_t number) noexcept;
  static void leave() noexcept;

  // The maskers that a call of was on its way, each once: "masker "x" (/path/x.so)", or, while it
  // was being loaded, "library /path/x.so". Takes whatever the memory holds: the process that wrote
  // it may have died of writing where it should not.
  static std::vector<std::string> describe(const CallRecord& record);
};
static_assert(std::atomic<std::uint8_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::is_standard_layout_v<CallRecord> &&
              std::is_trivially_destructible_v<CallRecord>);

// A record in memory that processes share, through a descriptor that one of them hands to the
// other.
class SharedCallRecord {
 public:
  // A new one, empty. Programs that this process executes get its descriptor only where they are
  // given it. Throws Error when the system has no memory for it.
  SharedCallRecord();
  // The one that an inherited descriptor is open for, which stays open. Throws Error when it is for
  // something else.
  explicit SharedCallRecord(int descriptor);
  SharedCallRecord(const SharedCallRecord&) = delete;
  SharedCallRecord& operator=(const SharedCallRecord&) = delete;
  ~SharedCallRecord();

  int descriptor() const noexcept { return descriptor_; }
  CallRecord& record() const noexcept { return *record_; }

 private:
  void map();

  int descriptor_;
  bool is_own_;  // the descriptor
  CallRecord* record_ = nullptr;
};

}  // namespace maskerade
