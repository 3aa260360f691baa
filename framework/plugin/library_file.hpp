#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace maskerade {

// Whether a file begins as a shared library (ELF) does. Requires a regular file.
bool is_library(const std::filesystem::path& file);

// The bytes that a shared library for a 64-bit machine takes, as its headers say: the end of its
// last segment or table. nullopt: the headers are not whole, or are those of another kind of
// machine. Requires a regular file.
// Rationale: the loader maps segments without a look at the file's length, and a process ends by
// SIGBUS when it touches what an interrupted copy lacks.
std::optional<std::uint64_t> library_bytes(const std::filesystem::path& file);

}  // namespace maskerade
