#!/usr/bin/env bash
# On a machine with a GPU, in under 8 minutes: runs the gpu tests, compute-sanitizer on a few of
# them, and the benchmark experiments, and prints one table last. Exits 1 when anything failed.
#
#   tests/gpu/verify.sh [FOLDER] [--quick]
#
# FOLDER is what tests/gpu/carry.sh packed elsewhere (default: build/gpu when it is there). Without
# it the project is built here, which needs nvcc, CMake, Ninja and the packages of ./maskerade.
# --quick leaves the experiments out. Logs and results go to $OUT, or else build/gpu-results. cuDNN and
# cuBLASLt are taken from the folders of python3's packages where it has them.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$root/build/gpu
quick=no
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    *) folder=$argument ;;
  esac
done
results=${OUT:-$root/build/gpu-results}
mkdir -p "$results"

if [ -d "$folder/bin" ]; then
  bin=$folder/bin
  export LD_LIBRARY_PATH=$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
else
  echo "verify: $folder is not there; building"
  "$root/maskerade" build all || exit 2
  cmake -S "$root" -B "$root/build/release" -DMASKERADE_BUILD_TESTS=ON >"$results/cmake.log" &&
    cmake --build "$root/build/release" --target cuda_tensor_test device_mask_test \
      select_jobs_test device_pipeline_test cuda_backend_test maskerade >>"$results/cmake.log" || exit 2
  bin=$root/build/release/bin
fi
# NVIDIA's libraries that came with PyTorch: after those of the machine and of FOLDER.
packages=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)
for libraries in "$packages"/nvidia/*/lib; do
  [ -d "$libraries" ] || continue
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
  [ ! -e "$libraries/libcudnn.so.9" ] || export MASKERADE_CUDNN=${MASKERADE_CUDNN:-$libraries}
done
# The device's roofs are measured here, not taken from an earlier run.
export XDG_CACHE_HOME=$results/cache
rm -rf "$XDG_CACHE_HOME"
summary=()
failed=0
# within SECONDS COMMAND...: stopped after that long, and 460 s after the script began.
within() {
  local most=$1 left=$((460 - SECONDS))
  shift
  [ $left -ge 1 ] || return 124
  timeout $((left < most ? left : most)) "$@"
}
note() { # NAME VERDICT DETAIL
  summary+=("$(printf '%-34s %-8s %s' "$1" "$2" "$3")")
  [ "$2" != FAILED ] || failed=1
}

"$bin/maskerade" info | tee "$results/info.log" || exit 2
if ! grep -q 'cuda: NVIDIA\|cuda: .*sm_' "$results/info.log"; then
  echo "verify: error: no CUDA device: $(sed -n 's/^devices *//p' "$results/info.log")" >&2
  exit 1
fi
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,temperature.gpu --format=csv \
  >"$results/clocks_before.csv" 2>&1 || true

for test in cuda_tensor_test device_mask_test select_jobs_test device_pipeline_test cuda_backend_test; do
  log=$results/$test.log
  within 90 "$bin/$test" >"$log" 2>&1
  code=$?
  # "[  PASSED  ] 7 tests." and, when there are any, "[  SKIPPED ] 1 test, listed below:"
  counts=$(sed -nE 's/^\[  (PASSED|SKIPPED|FAILED) +\] ([0-9]+) tests?.*/\2 \1/p' "$log" |
    tr '[:upper:]' '[:lower:]' | paste -sd, -)
  # One test needs that there is no device, and one a cuDNN.
  allowed=0
  [ $test != cuda_backend_test ] || allowed=1
  [ $allowed = 0 ] || grep -q '^cudnn  *9' "$results/info.log" || allowed=2
  skipped=$(sed -nE 's/.*, ?([0-9]+) skipped.*/\1/p' <<<"$counts")
  if [ $code -eq 0 ] && [ "${skipped:-0}" -le $allowed ]; then
    note "$test" ok "$counts"
  else
    note "$test" FAILED "$counts exit $code, see $log"
    tail -n 25 "$log"
  fi
done

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    for test in cuda_backend_test select_jobs_test device_pipeline_test; do
      log=$results/$tool.$test.log
      within 60 compute-sanitizer --tool "$tool" --error-exitcode 9 "$bin/$test" \
        --gtest_filter='CudaBackend.AnEmptyMask*:CudaBackend.Views*:CudaBackend.SmallProblems*:SelectJobs*:DevicePipeline.SaysWhich*:DevicePipeline.TheReports*' \
        >"$log" 2>&1
      code=$?
      found=$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | sed 's/=* *//' | tail -n 1)
      case $code in
        0) note "$tool $test" ok "$found" ;;
        124) note "$tool $test" FAILED "stopped, its time was up" ;;
        *) note "$tool $test" FAILED "exit $code: ${found:-see $log}" ;;
      esac
    done
  done
else
  note compute-sanitizer absent "not on PATH"
fi

if [ $quick = no ]; then
  for experiment in gpu_decode gpu_blocks; do
    log=$results/$experiment.log
    rm -f "$results/$experiment.jsonl"
    within 140 "$bin/maskerade" run "$root/experiments/$experiment.yaml" \
      --json "$results/$experiment.jsonl" >"$log" 2>&1
    code=$?
    [ $code -eq 124 ] && note "$experiment" stopped "its time was up; the cells until then are below"
    [ $code -eq 0 ] && note "$experiment" ok "$(tail -n 1 "$log")"
    [ $code -ne 0 ] && [ $code -ne 124 ] && note "$experiment" FAILED "exit $code, see $log"
  done
fi
nvidia-smi --query-gpu=clocks.sm,clocks.mem,temperature.gpu --format=csv \
  >"$results/clocks_after.csv" 2>&1 || true

# table NAME SECONDS COMMAND...: what the command prints goes to NAME.txt, and its verdict is noted.
table() {
  local name=$1 most=$2 code
  shift 2
  within "$most" "$@" >"$results/$name.txt" 2>"$results/$name.log"
  code=$?
  case $code in
    0) note "$name" ok "$results/$name.txt" ;;
    124) note "$name" stopped "its time was up" ;;
    *) note "$name" FAILED "exit $code, see $results/$name.log" ;;
  esac
}
rm -f "$results/rates.txt" "$results/peers.txt" "$results/peers.json"
if [ $quick = no ]; then
  if python3 -c 'import torch' 2>"$results/peers.log"; then
    table peers 100 python3 "$root/experiments/peers/compare_pytorch.py" --device cuda --budget 75 \
      --json "$results/peers.json" "$results"/gpu_blocks.jsonl "$results"/gpu_decode.jsonl
  else
    note peers absent "python3 has no PyTorch, see $results/peers.log"
  fi
  # Beyond the script's time: it only prints.
  python3 "$root/tests/gpu/rates.py" "$results"/gpu_blocks.jsonl "$results"/gpu_decode.jsonl \
    --peers "$results/peers.json" >"$results/rates.txt" 2>"$results/rates.log" ||
    note rates FAILED "see $results/rates.log"
fi

echo
printf '%s\n' "${summary[@]}" | tee "$results/summary.txt"
[ $quick = yes ] || cat "$results/rates.txt"
echo "verify: $SECONDS s, logs in $results"
exit $failed
