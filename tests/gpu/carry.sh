#!/usr/bin/env bash
# Packs what tests/gpu/verify.sh needs on a machine with a GPU and no package registries: the
# program, the plugins, the gpu tests and the shared libraries that they need.
#
#   tests/gpu/carry.sh [FOLDER]     default: build/gpu, which git ignores
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$root/build/gpu}
built=$root/build/release/bin
tests=(cuda_tensor_test device_mask_test select_jobs_test device_pipeline_test cuda_backend_test)

if ! grep -qsE '^CMAKE_CUDA_COMPILER:[A-Z]+=/' "$root/build/release/CMakeCache.txt"; then
  echo "carry: error: build/release has no CUDA backend; build it where nvcc is on PATH" >&2
  exit 2
fi
for file in maskerade plugins test_plugins "${tests[@]}"; do
  if [ ! -e "$built/$file" ]; then
    echo "carry: error: $built/$file is not there; run ./maskerade build and build the tests" >&2
    exit 2
  fi
done

rm -rf "$folder"
mkdir -p "$folder/bin/plugins" "$folder/bin/test_plugins" "$folder/lib"
cp "$built/maskerade" "${tests[@]/#/$built/}" "$folder/bin/"
cp "$built"/plugins/*.so "$folder/bin/plugins/"
cp "$built"/test_plugins/*.so "$folder/bin/test_plugins/"
# The C library belongs to the machine.
find "$folder/bin" -type f -print0 | xargs -0 ldd |
  sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p' | sort -u |
  grep -vE '/(ld-linux|libc\.so|libm\.so|libdl\.so|libpthread\.so|librt\.so)' |
  xargs -I{} cp -L {} "$folder/lib/"
strip "$folder"/bin/maskerade "$folder"/bin/*_test "$folder"/bin/plugins/*.so "$folder"/bin/test_plugins/*.so
size=$(du -sm "$folder" | cut -f1)
echo "carry: $folder, $size MiB"
if [ "$size" -gt 64 ]; then
  echo "carry: error: more than 64 MiB" >&2
  exit 1
fi
