#include "framework/plugin/library_file.hpp"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "framework/base/saturate.hpp"

namespace maskerade {
namespace {

// Reads a header as it lies in the file; false when the file ends before it does.
template <typename Header>
bool read(std::string_view file, std::uint64_t begin, Header& header) {
  if (begin > file.size() || file.size() - begin < sizeof(Header)) return false;
  std::memcpy(&header, file.data() + begin, sizeof(Header));
  return true;
}

bool is_of_this_machine(const Elf64_Ehdr& header) {
  constexpr unsigned char kOwnOrder =
      std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  return header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == kOwnOrder;
}

}  // namespace

bool is_library(std::string_view file) {
  return file.starts_with(std::string_view(ELFMAG, SELFMAG));
}

std::optional<std::uint64_t> library_bytes(std::string_view file) {
  Elf64_Ehdr header{};
  if (!read(file, 0, header) || !is_of_this_machine(header)) return std::nullopt;
  std::uint64_t end = sizeof(header);
  const auto add = [&](std::uint64_t begin, std::uint64_t bytes) {
    end = std::max(end, saturating_sum(begin, bytes));
  };
  if (header.e_phnum > 0) add(header.e_phoff, std::uint64_t{header.e_phnum} * header.e_phentsize);
  if (header.e_shoff > 0) add(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize);
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const std::uint64_t begin = saturating_sum(header.e_phoff, i * header.e_phentsize);
    if (!read(file, begin, segment)) return end;  // the table is not whole
    add(segment.p_offset, segment.p_filesz);
  }
  return end;
}

}  // namespace maskerade
