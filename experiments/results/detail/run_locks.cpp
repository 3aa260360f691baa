#include "experiments/results/detail/run_locks.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "experiments/results/detail/results_file.hpp"

namespace maskerade::detail {
namespace {

struct flock byte_of(std::int64_t run) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = run;
  lock.l_len = 1;
  return lock;
}

}  // namespace

RunLocks::RunLocks(const std::filesystem::path& database, Use use)
    : descriptor_(open(side_file(database, "-runs").c_str(),
                       O_CLOEXEC | (use == Use::kHold ? O_RDWR | O_CREAT : O_RDONLY),
                       0666)) {}

RunLocks::~RunLocks() {
  if (descriptor_ >= 0) close(descriptor_);
}

void RunLocks::hold(std::int64_t run) {
  struct flock lock = byte_of(run);
  fcntl(descriptor_, F_OFD_SETLK, &lock);
}

bool RunLocks::is_held(std::int64_t run) const {
  struct flock lock = byte_of(run);
  return fcntl(descriptor_, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace maskerade::detail
