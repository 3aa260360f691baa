#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "framework/sdk/masker_abi.h"

namespace maskerade {

// A plugin library that this process has loaded. A value; the library stays loaded until the
// process ends.
struct LoadedLibrary {
  std::filesystem::path path;
  std::string sha256;  // of the bytes that were loaded, as 64 hexadecimal digits
  // The descriptor of the copy in memory that was loaded; -1: the file itself was. Open until the
  // process ends, and closed in programs that it executes unless they are given it.
  int copy = -1;
  // What loading changed in the floating-point environment of its thread, in words; "" nothing. It
  // was put back at once.
  std::string load_effect;
  std::uint8_t number = 0;                          // in the record of calls
  maskerade_masker_entry_function entry = nullptr;  // null: it does not export one
};

// The bytes of a file, or of what a descriptor is open for, from its beginning. Throws PluginError,
// which names `library`, when they cannot be read.
std::string read_library(const std::filesystem::path& library);
std::string read_library(const std::filesystem::path& library, int descriptor);

struct LibraryToLoad {
  std::filesystem::path named;  // in messages
  std::filesystem::path path;   // canonical
  std::string bytes;            // the whole file
  int descriptor = -1;          // an inherited copy of the bytes, which stays open; -1: none
};

// Loads a library whose bytes were read: those bytes, in a copy in memory, so that what is hashed
// is what runs, whoever writes the file meanwhile. A library that names $ORIGIN, its own folder, is
// loaded from its path, and so is every library where the system gives no such copy; then the file
// must have those bytes before and after. The same path and bytes are loaded once.
// Throws PluginError when the loader refuses it, or the file changes.
// Rationale: what is loaded is kept in one table of the process, as the system's loader keeps it.
LoadedLibrary load_library(const LibraryToLoad& library);

}  // namespace maskerade
