#include "framework/plugin/call_record.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <system_error>

#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// Rationale: what dies, with all of its calls, is the process. Calls are made by threads of every
// pool and by layers that do not know each other and whether anyone watches, so that the record is
// the process's, as its standard error is.
std::atomic<CallRecord*> record_in_use = nullptr;
std::mutex naming;

// The places in a record that threads hold, each for as long as it lives.
std::array<std::atomic<bool>, CallRecord::kThreads> taken{};

// The calling thread's place: taken at its first noted call, given back when it ends.
class Place {
 public:
  static constexpr std::size_t kNone = CallRecord::kThreads;

  Place() {
    while (number_ < kNone && taken[number_].exchange(true, std::memory_order_relaxed)) ++number_;
  }
  ~Place() {
    if (number_ < kNone) taken[number_].store(false, std::memory_order_relaxed);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void note(CallRecord& record, std::uint8_t masker) const noexcept {
    if (number_ < kNone) record.calls[number_].masker.store(masker, std::memory_order_relaxed);
  }

 private:
  std::size_t number_ = 0;
};

void note(std::uint8_t masker) noexcept {
  CallRecord* const record = record_in_use.load(std::memory_order_relaxed);
  if (record == nullptr) return;
  static thread_local const Place place;
  place.note(*record, masker);
}

template <std::size_t kBytes>
std::string text_of(const std::array<char, kBytes>& bytes) {
  return {bytes.begin(), std::find(bytes.begin(), bytes.end(), '\0')};
}

// Rationale: of a path that is too long the end tells more, with the name of the file.
template <std::size_t kBytes>
void write(std::string_view text, std::array<char, kBytes>& bytes) {
  if (text.size() >= kBytes) text.remove_prefix(text.size() - (kBytes - 1));
  bytes.fill('\0');
  std::copy(text.begin(), text.end(), bytes.begin());
}

}  // namespace

void CallRecord::use(CallRecord* record) noexcept {
  record_in_use.store(record, std::memory_order_relaxed);
}

std::uint8_t CallRecord::number_of(const std::filesystem::path& library) {
  static_assert(kMaskers <= UINT8_MAX);
  CallRecord* const record = record_in_use.load(std::memory_order_relaxed);
  if (record == nullptr) return 0;
  const std::lock_guard lock(naming);
  Masker added{};
  write(library.native(), added.library);
  const std::size_t count =
      std::min<std::size_t>(record->masker_count.load(std::memory_order_relaxed), kMaskers);
  for (std::size_t i = 0; i < count; ++i) {
    if (record->maskers[i].library == added.library) return static_cast<std::uint8_t>(i + 1);
  }
  if (count == kMaskers) return 0;
  record->maskers[count] = added;
  record->masker_count.store(static_cast<std::uint32_t>(count + 1), std::memory_order_relaxed);
  return static_cast<std::uint8_t>(count + 1);
}

void CallRecord::name(std::uint8_t number, std::string_view id) {
  CallRecord* const record = record_in_use.load(std::memory_order_relaxed);
  if (record == nullptr || number == 0) return;
  const std::lock_guard lock(naming);
  write(id, record->maskers[number - 1].id);
}

void CallRecord::enter(std::uint8_t number) noexcept { note(number); }

void CallRecord::leave() noexcept { note(0); }

std::vector<std::string> CallRecord::describe(const CallRecord& record) {
  std::vector<std::string> texts;
  for (const Call& call : record.calls) {
    const std::uint8_t number = call.masker.load(std::memory_order_relaxed);
    if (number == 0 || number > kMaskers) continue;
    const Masker& masker = record.maskers[number - 1];
    const std::string id = storable(text_of(masker.id));
    const std::string library = storable(text_of(masker.library));
    std::string text = id.empty() ? fmt::format("library {}", library)
                                  : fmt::format("masker \"{}\" ({})", id, library);
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) {
      texts.push_back(std::move(text));
    }
  }
  return texts;
}

SharedCallRecord::SharedCallRecord()
    : descriptor_(memfd_create("maskerade calls", MFD_CLOEXEC)), is_own_(true) {
  const bool is_made = descriptor_ >= 0 && ftruncate(descriptor_, sizeof(CallRecord)) == 0;
  if (is_made) map();
  if (record_ != nullptr) return;
  const int reason = errno;
  if (descriptor_ >= 0) close(descriptor_);
  throw Error("there is no memory to share a record of calls in. The system says: " +
              std::generic_category().message(reason));
}

SharedCallRecord::SharedCallRecord(int descriptor) : descriptor_(descriptor), is_own_(false) {
  struct stat status {};
  if (fstat(descriptor, &status) == 0 && status.st_size == sizeof(CallRecord)) map();
  if (record_ == nullptr) {
    throw Error(fmt::format("descriptor {} is not open for a record of calls", descriptor));
  }
}

SharedCallRecord::~SharedCallRecord() {
  munmap(record_, sizeof(CallRecord));
  if (is_own_) close(descriptor_);
}

void SharedCallRecord::map() {
  void* const memory =
      mmap(nullptr, sizeof(CallRecord), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory != MAP_FAILED) record_ = static_cast<CallRecord*>(memory);
}

}  // namespace maskerade
