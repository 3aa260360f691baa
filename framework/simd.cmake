# maskerade_simd: Highway, and the instruction sets that what it dispatches is compiled for. Few of
# them keep the build short: the compiler's baseline, AVX2 and AVX-512 (AVX3). Everything that
# includes Highway links this, so that all of the project has the same ones.
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
add_library(maskerade_simd INTERFACE)
target_link_libraries(maskerade_simd INTERFACE PkgConfig::HWY)

# What else there is differs from version to version: all variants of AVX-512 and later that the
# installed one names, as HWY_AVX3_DL, are left out.
find_file(MASKERADE_HWY_TARGETS hwy/detect_targets.h HINTS ${HWY_INCLUDE_DIRS} REQUIRED)
mark_as_advanced(MASKERADE_HWY_TARGETS)
file(STRINGS ${MASKERADE_HWY_TARGETS} left_out REGEX "^#define HWY_AVX[0-9]+_[A-Z0-9_]+ \\(1LL")
list(TRANSFORM left_out REPLACE "^#define (HWY_[A-Z0-9_]+) .*" "\\1")
list(PREPEND left_out HWY_SSSE3 HWY_SSE4)
list(JOIN left_out | left_out)
target_compile_definitions(maskerade_simd INTERFACE "HWY_DISABLED_TARGETS=(${left_out})")
set_target_properties(maskerade_simd PROPERTIES EXPORT_NAME simd)
install(TARGETS maskerade_simd EXPORT maskerade-libraries)
