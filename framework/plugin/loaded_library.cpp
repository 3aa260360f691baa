#define BOOST_DLL_USE_STD_FS
#include "framework/plugin/loaded_library.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <exception>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/base/sha256.hpp"
#include "framework/plugin/call_record.hpp"
#include "framework/plugin/plugin_call.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// A descriptor that is closed with its owner, unless it is released.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::string last_system_error() { return std::generic_category().message(errno); }

bool names_its_folder(std::string_view bytes) {
  return bytes.find("$ORIGIN") != std::string_view::npos ||
         bytes.find("${ORIGIN}") != std::string_view::npos;
}

// A copy of the bytes in memory that nobody can change; -1 when the system gives none.
int sealed_copy(const fs::path& library, std::string_view bytes) {
  Descriptor copy(memfd_create(library.filename().c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (copy.get() < 0) return -1;
  while (!bytes.empty()) {
    const ssize_t written = write(copy.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return -1;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  return fcntl(copy.get(), F_ADD_SEALS, kSeals) == 0 ? copy.release() : -1;
}

// The path of an open descriptor, for the loader; "" where the system shows none, or another
// process's in its place. Rationale: with the number of the process in it, debuggers find it, too.
std::string path_of(int descriptor) {
  const std::string path = fmt::format("/proc/{}/fd/{}", getpid(), descriptor);
  struct stat shown {};
  struct stat open {};
  const bool is_same = stat(path.c_str(), &shown) == 0 && fstat(descriptor, &open) == 0 &&
                       shown.st_dev == open.st_dev && shown.st_ino == open.st_ino;
  return is_same ? path : "";
}

std::string hash_of(const fs::path& file) {
  try {
    return sha256_of_file(file);
  } catch (const DataError&) {
    return "";
  }
}

// What came of asking the loader for a file.
struct Opened {
  boost::dll::shared_library library;
  std::string reason;      // why it is not loaded
  bool has_begun = false;  // its initialization ran, and threw
  std::string load_effect;

  bool is_loaded() const { return library.is_loaded(); }
};

Opened open_library(const std::string& path, std::uint8_t number) {
  // Never unloaded: code of the library may run until the process ends.
  const auto mode = static_cast<boost::dll::load_mode::type>(
      boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local | RTLD_NODELETE);
  Opened opened;
  std::error_code refusal;
  PluginCall call(number);
  try {
    opened.library.load(path, refusal, mode);
    call.end();
    if (!opened.is_loaded()) {
      const char* const reason = dlerror();
      opened.reason = reason == nullptr ? refusal.message() : reason;
    }
  } catch (const std::exception& error) {
    call.end();
    opened.reason = error.what();
    opened.has_begun = true;
  } catch (...) {
    call.end();
    opened.reason = "its initialization threw an exception of unknown type";
    opened.has_begun = true;
  }
  opened.load_effect = call.floating_point_change();
  return opened;
}

// The libraries of this process.
class LoadedLibraries {
 public:
  LoadedLibrary load(const LibraryToLoad& library) {
    const std::lock_guard lock(mutex_);
    LoadedLibrary loaded{.path = library.path, .sha256 = sha256_hex(library.bytes)};
    for (const LoadedLibrary& known : loaded_) {
      if (known.path == loaded.path && known.sha256 == loaded.sha256) return known;
    }
    loaded.number = CallRecord::number_of(library.path);
    Opened opened;
    if (!names_its_folder(library.bytes)) opened = open_copy(library, loaded);
    if (!opened.is_loaded() && !opened.has_begun) opened = open_file(library, loaded);
    if (!opened.is_loaded()) {
      throw PluginError(library.named.string(),
                        "cannot be loaded; check that it was built for this machine and that the "
                        "libraries it needs are installed (ldd shows them). The loader says: " +
                            opened.reason);
    }
    loaded.load_effect = opened.load_effect;
    if (opened.library.has(MASKERADE_ENTRY_SYMBOL)) {
      loaded.entry =
          &opened.library.get<const maskerade_masker_descriptor*()>(MASKERADE_ENTRY_SYMBOL);
    }
    loaded_.push_back(loaded);
    return loaded;
  }

 private:
  static Opened open_copy(const LibraryToLoad& library, LoadedLibrary& loaded) {
    const bool is_inherited = library.descriptor >= 0;
    Descriptor made(is_inherited ? -1 : sealed_copy(library.path, library.bytes));
    const int copy = is_inherited ? library.descriptor : made.get();
    const std::string path = copy < 0 ? "" : path_of(copy);
    if (path.empty()) return {};
    Opened opened = open_library(path, loaded.number);
    if (!opened.is_loaded() && !opened.has_begun) return opened;
    // Rationale: the loader knows a library by its path, which must never be another's.
    made.release();
    loaded.copy = copy;
    return opened;
  }

  Opened open_file(const LibraryToLoad& library, const LoadedLibrary& loaded) {
    const auto require_unchanged = [&](bool is_unchanged) {
      if (is_unchanged) return;
      throw PluginError(library.named.string(),
                        "changed while it was loaded; load it again when nothing writes it");
    };
    // The loader would give what it loaded from that path before.
    for (const LoadedLibrary& known : loaded_) {
      if (known.path == loaded.path && known.copy < 0) {
        throw PluginError(library.named.string(),
                          "changed after this program had loaded it; start the program again");
      }
    }
    require_unchanged(hash_of(library.path) == loaded.sha256);
    Opened opened = open_library(library.path.string(), loaded.number);
    if (opened.is_loaded() && hash_of(library.path) != loaded.sha256) {
      loaded_.push_back({.path = library.path});
      require_unchanged(false);
    }
    return opened;
  }

  std::mutex mutex_;
  std::vector<LoadedLibrary> loaded_;
};

}  // namespace

std::string read_library(const fs::path& library, int descriptor) {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
  std::string bytes;
  std::size_t size = 0;
  while (true) {
    bytes.resize(size + kPieceBytes);
    const ssize_t got =
        pread(descriptor, bytes.data() + size, kPieceBytes, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw PluginError(library.string(),
                        "cannot be read to its end. The system says: " + last_system_error());
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

std::string read_library(const fs::path& library) {
  const Descriptor file(open(library.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    throw PluginError(library.string(),
                      "cannot be read; make it readable for this user. The "
                      "system says: " +
                          last_system_error());
  }
  return read_library(library, file.get());
}

LoadedLibrary load_library(const LibraryToLoad& library) {
  static LoadedLibraries libraries;
  return libraries.load(library);
}

}  // namespace maskerade
