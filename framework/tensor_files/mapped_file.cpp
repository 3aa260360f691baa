#include "framework/tensor_files/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/base/error.hpp"

namespace maskerade {

MappedFile map_file(const std::string& file) {
  const auto refuse = [&](const std::string& what) -> DataError {
    return DataError(file, "", fmt::format("{} ({})", what, std::strerror(errno)));
  };
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw refuse("the file cannot be opened");
  const std::shared_ptr<void> closer(nullptr, [descriptor](void*) { ::close(descriptor); });
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw refuse("the file cannot be read");
  if (!S_ISREG(status.st_mode)) throw DataError(file, "", "this is no regular file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) return {};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) throw refuse("the file cannot be mapped into memory");
  return {{static_cast<const std::byte*>(address),
           [address, size](const std::byte*) { ::munmap(address, size); }},
          size};
}

}  // namespace maskerade
