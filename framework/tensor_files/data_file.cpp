#include "framework/tensor_files/data_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

DataError system_error(const std::string& file, const char* what) {
  return {file, "", fmt::format("{} ({})", what, std::strerror(errno))};
}

}  // namespace

DataFile DataFile::open(const std::string& name) {
  DataFile file;
  file.name_ = name;
  // Rationale: opening a pipe waits for its writer unless O_NONBLOCK is set.
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw system_error(name, "the file cannot be opened");
  file.descriptor_ = {new int(descriptor), [](const int* open) {
                        ::close(*open);
                        delete open;
                      }};
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw system_error(name, "the file cannot be read");
  if (!S_ISREG(status.st_mode)) throw DataError(name, "", "this is no regular file");
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  return file;
}

void DataFile::read(std::uint64_t begin, std::span<std::byte> target) const {
  while (!target.empty()) {
    const ssize_t count =
        ::pread(*descriptor_, target.data(), target.size(), static_cast<off_t>(begin));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(name_, "the file cannot be read");
    if (count == 0) {
      throw DataError(name_, "",
                      fmt::format("the file was cut while it was read: {} bytes were there, now "
                                  "{} are",
                                  size_, begin));
    }
    begin += static_cast<std::uint64_t>(count);
    target = target.subspan(static_cast<std::size_t>(count));
  }
}

Tensor read_tensor(const DataFile& file, std::uint64_t begin, TensorView description) {
  const std::size_t bytes = static_cast<std::size_t>(description.batch * description.batch_stride) *
                            size_of(description.dtype);
  std::shared_ptr<std::byte> copy = aligned_bytes(bytes);
  file.read(begin, {copy.get(), bytes});
  description.data = copy.get();
  return Tensor(description, std::move(copy));
}

}  // namespace maskerade
