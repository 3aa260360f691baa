#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace maskerade {

// Whether the bytes of a file begin as those of a shared library (ELF) do.
bool is_library(std::string_view file);

// The bytes that a shared library for a 64-bit machine takes, as its headers say: the end of its
// last segment or table. nullopt: the headers are not whole, or are those of another kind of
// machine.
// Rationale: the loader maps segments without a look at the file's length, and a process ends by
// SIGBUS when it touches what an interrupted copy lacks.
std::optional<std::uint64_t> library_bytes(std::string_view file);

}  // namespace maskerade
