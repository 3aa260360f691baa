#include "experiments/measure/machine.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <string_view>

#include "attention/cpu/attend.hpp"
#include "framework/base/sha256.hpp"

namespace maskerade {

namespace {

std::string processor_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

// The notes of one segment of an object that is loaded: calls visit(type, name, description) for
// each.
template <typename Visit>
void for_each_note(const char* at, std::size_t bytes, Visit&& visit) {
  const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
  const char* const end = at + bytes;
  while (at + sizeof(ElfW(Nhdr)) <= end) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof(note));
    const char* const name = at + sizeof(note);
    const char* const description = name + padded(note.n_namesz);
    at = description + padded(note.n_descsz);
    if (at > end) return;
    visit(note.n_type, std::string_view(name, note.n_namesz),
          std::string_view(description, note.n_descsz));
  }
}

// The build ID of the running program in hexadecimal digits: the hash that the linker made of all
// that it linked. "": it made none.
std::string build_id() {
  std::string digits;
  const auto of_object = [](dl_phdr_info* object, std::size_t, void* found) {
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_NOTE) continue;
      for_each_note(reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr),
                    segment.p_memsz,
                    [&](auto type, std::string_view name, std::string_view description) {
                      if (type != NT_GNU_BUILD_ID || name != std::string_view("GNU", 4)) return;
                      for (const char byte : description) {
                        *static_cast<std::string*>(found) +=
                            fmt::format("{:02x}", static_cast<unsigned char>(byte));
                      }
                    });
    }
    return 1;  // the program comes first
  };
  dl_iterate_phdr(of_object, &digits);
  return digits;
}

}  // namespace

std::string machine_name() {
  // Rationale: every cell has it, and both of its parts take as long as a small cell.
  static const std::string kName = processor_model() + ", " + instruction_set();
  return kName;
}

std::string program_version() {
  constexpr std::size_t kBuildDigits = 12;
  static const std::string kVersion = [] {
    const std::string id = build_id();
    return std::string(MASKERADE_VERSION) + "+" +
           (id.empty() ? sha256_of_file("/proc/self/exe") : id).substr(0, kBuildDigits);
  }();
  return kVersion;
}

}  // namespace maskerade
