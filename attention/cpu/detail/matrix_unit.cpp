#include "attention/cpu/detail/matrix_unit.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace maskerade::detail {
namespace {

// Asks Linux to let this process use tiles (Documentation/arch/x86/xstate.rst); whether it does.
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

// The 64 bytes that the instruction LDTILECFG reads: rows and bytes of a row of each tile.
struct TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::array<std::uint8_t, 14> reserved{};
  std::array<std::uint16_t, 16> row_bytes{};
  std::array<std::uint8_t, 16> rows{};
};
static_assert(sizeof(TileShapes) == 64);

}  // namespace

MatrixSession::MatrixSession(MatrixUnit unit) : unit_(unit) {
  if (unit_ != MatrixUnit::kAmx) return;
  TileShapes shapes;
  for (std::size_t t = 0; t < 8; ++t) {
    shapes.row_bytes[t] = kMatrixTileRowBytes;
    shapes.rows[t] = kMatrixTileRows;
  }
  asm volatile("ldtilecfg %0" : : "m"(shapes));
}

MatrixSession::~MatrixSession() {
  if (unit_ == MatrixUnit::kAmx) asm volatile("tilerelease");
}

bool amx_is_usable() {
  static const bool kUsable = machine_has_amx() && system_grants_tiles();
  return kUsable;
}

}  // namespace maskerade::detail
