#include "attention/cpu/detail/matrix_unit.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace maskerade::detail {
namespace {

// Linux gives tiles to a process that asks for them (Documentation/arch/x86/xstate.rst).
bool system_grants_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool machine_has_amx() {
  constexpr unsigned kBFloat16 = 1U << 22;
  constexpr unsigned kTiles = 1U << 24;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return (d & kBFloat16) != 0 && (d & kTiles) != 0;
}

}  // namespace

bool amx_is_usable() {
  static const bool kUsable = machine_has_amx() && system_grants_tiles();
  return kUsable;
}

}  // namespace maskerade::detail
