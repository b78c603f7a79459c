#!/usr/bin/env bash
# Everything that needs a GPU, in stages of at most 8 minutes that can be run again one by one. Each stage leaves
# OUT/<stage>.json with its status (passed, failed, skipped, timed out), its reason and its seconds, and its output
# in OUT/<stage>.log; a stage that has passed is not run again unless --again.
#
#   scripts/gpu_check.sh [--out FOLDER] [--again] [STAGE...]     OUT is runs/gpu_check if not given
#
#   build      configure with TDDS_CUDA=ON for this GPU, and build
#   golden     convolution with an asymmetric filter and the linear layer, against their definitions
#   tests      all tests, CUDA cases required (TDDS_REQUIRE_GPU=1)
#   sanitizer  compute-sanitizer over the kernel tests; skipped where it is missing or refused
#   bench      kernels and steps, as JSON under OUT/bench
#   compare    the step beside PyTorch's (bench/compare_gpu.py), into OUT/compare_gpu.json; skipped without torch
#   train      a short training in every precision, dynamics recorded, and one with --cudnn_autotune, under OUT/train
#
# No network is needed. Dependencies may lie beside: TDDS_DEPS names a folder with include/ and lib/ of the libraries
# that scripts/setup.sh would install, TDDS_CUDNN_ROOT one with cuDNN's (also as in NVIDIA's Python wheels).
# shellcheck disable=SC2317  # the stages are called by name
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
out=runs/gpu_check
again=0
stages=()
all_stages=(build golden tests sanitizer bench train compare)
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=${2:?--out wants a folder}; shift ;;
    --again) again=1 ;;
    build | golden | tests | sanitizer | bench | train | compare) stages+=("$1") ;;
    *) echo "gpu_check.sh: there is no '$1'; stages: ${all_stages[*]}; flags: --out, --again" >&2; exit 2 ;;
  esac
  shift
done
[ ${#stages[@]} -gt 0 ] || stages=("${all_stages[@]}")
mkdir -p "$out"
out=$(cd "$out" && pwd)
build=$PWD/build/gpu
limit=480
export TDDS_REQUIRE_GPU=1
if [ -n "${TDDS_DEPS:-}" ]; then
  export CMAKE_PREFIX_PATH=$TDDS_DEPS${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  export LD_LIBRARY_PATH=$TDDS_DEPS/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi

stage_build() {
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTDDS_CUDA=ON \
    -DCMAKE_CUDA_ARCHITECTURES="${TDDS_CUDA_ARCHITECTURES:-native}" ${TDDS_CUDNN_ROOT:+-DTDDS_CUDNN_ROOT="$TDDS_CUDNN_ROOT"} &&
    cmake --build "$build" --parallel "$(nproc)"
}

stage_golden() {
  "$build/tests/cuda_test" --gtest_filter='*LibraryOpTest*' --gtest_output="json:$out/golden_tests.json"
}

stage_tests() {
  # Each test has its own time limit. Four at a time fit any GPU's memory, and what needs the GPU comes first: it is
  # what this stage is for, should the rest not fit its time.
  local failed=0
  ctest --test-dir "$build" --parallel 4 -R '[Cc]uda' --no-tests=error --output-on-failure --output-junit "$out/tests_gpu_junit.xml" || failed=1
  ctest --test-dir "$build" --parallel 4 -E '[Cc]uda' --no-tests=error --output-on-failure --output-junit "$out/tests_junit.xml" || failed=1
  return "$failed"
}

stage_sanitizer() {
  local tool
  tool=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer) || {
    skip "compute-sanitizer is not installed"
    return
  }
  # Some virtual machines refuse the debugging interface that the tool needs.
  # Its own lines begin with a row of equals signs.
  local refused
  "$tool" --error-exitcode 86 "$build/tests/kernels_test" --gtest_filter='*StreamTest*cuda*' >"$out/sanitizer_try.log" 2>&1
  refused=$(grep -iE -m 1 '^=+ .*(not supported|unable to|insufficient permission|failed to initialize)' "$out/sanitizer_try.log") && {
    skip "compute-sanitizer is refused here: $refused"
    return
  }
  # Each kernel in one type: halves, whose 16-byte vectors are the longest, where there is a choice.
  local failed=0 check code flags
  local cases='*/cuda_f16:*SoftmaxKl*/cuda_f32:*Sort*/cuda_f32:*Step*/cuda_f32:*FeatureNorm*/cuda_f32'
  for check in memcheck racecheck synccheck initcheck; do
    echo "== $check"
    # Calls that fail inside cuDNN and cuBLAS, which try and go on, are no finding.
    flags=()
    [ "$check" != memcheck ] || flags=(--report-api-errors no)
    # Memory is filled before use by design, so initcheck sees what kernels themselves leave unwritten.
    timeout 110 "$tool" --tool "$check" "${flags[@]}" --error-exitcode 86 "$build/tests/kernels_test" --gtest_filter="$cases"
    code=$?
    case $code in
      0) ;;
      86) echo "$check: it found something" && failed=1 ;;
      124) echo "$check: not finished in 110 s" && failed=1 ;;
      *) echo "$check: exit code $code" && failed=1 ;;
    esac
  done
  return "$failed"
}

stage_bench() {
  local failed=0 precision
  mkdir -p "$out/bench"
  timeout 220 "$build/bench/bench_kernels" --benchmark_filter=cuda \
    --benchmark_out="$out/bench/kernels.json" --benchmark_out_format=json || failed=1
  # It exits with 0 where nothing matches, and where a benchmark gave up.
  grep -q '"name": ".*cuda' "$out/bench/kernels.json" || { echo "bench_kernels measured nothing on the GPU"; failed=1; }
  ! grep -B 12 '"error_occurred": true' "$out/bench/kernels.json" || { echo "a benchmark failed"; failed=1; }
  for precision in fp32 tf32 fp16 bf16; do
    echo "== step, $precision"
    timeout 60 "$build/bench/bench_step" --device cuda --precision "$precision" --batch-size 128 --steps 200 \
      --warmup 20 --plans >"$out/bench/step_$precision.json" || failed=1
  done
  return "$failed"
}

stage_train() {
  local failed=0 precision
  for precision in fp32 tf32 fp16 bf16; do
    echo "== $precision"
    timeout 110 "$build/apps/tdds-train" --device cuda --precision "$precision" --dataset shapes --epochs 3 --dynamics \
      --print_freq 0 --overwrite --save_path "$out/train/$precision" || failed=1
  done
  echo "== fp16, plans chosen by timing"
  timeout 110 "$build/apps/tdds-train" --device cuda --precision fp16 --dataset shapes --epochs 1 --print_freq 0 --overwrite \
    --cudnn_autotune --plan_cache "$out/train/plans" --save_path "$out/train/autotuned" || failed=1
  return "$failed"
}

# TDDS_TORCH_PYTHON names the Python that has torch. One precision a call fits the limit where compiling is slow:
# TDDS_COMPARE="--precisions fp16".
stage_compare() {
  local python=${TDDS_TORCH_PYTHON:-python3}
  "$python" -c 'import torch' 2>/dev/null || {
    skip "$python has no torch"
    return
  }
  # shellcheck disable=SC2086  # words
  "$python" bench/compare_gpu.py --tdds "$build/bench/bench_step" --out "$out/compare_gpu.json" --rounds 5 ${TDDS_COMPARE:-}
}

skip() {
  reason=$1
  echo "skipped: $reason"
  return 77
}

quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# Runs in a process of its own, so that the time limit ends it whole.
if [ "${TDDS_GPU_CHECK_STAGE:-}" ]; then
  reason=
  "stage_$TDDS_GPU_CHECK_STAGE"
  code=$?
  [ -z "$reason" ] || printf '%s' "$reason" >"$out/reason.tmp"
  exit "$code"
fi

failures=0
for stage in "${stages[@]}"; do
  if [ $again = 0 ] && grep -q '"status": "passed"' "$out/$stage.json" 2>/dev/null; then
    echo "$stage: passed before"
    continue
  fi
  rm -f "$out/reason.tmp"
  began=$(date +%s)
  TDDS_GPU_CHECK_STAGE=$stage timeout --kill-after 10 "$limit" bash "$0" --out "$out" >"$out/$stage.log" 2>&1
  code=$?
  case $code in
    0) status=passed ;;
    77) status=skipped ;;
    124 | 137) status="timed out" ;;
    *) status=failed ;;
  esac
  reason=$(cat "$out/reason.tmp" 2>/dev/null)
  rm -f "$out/reason.tmp"
  gpu=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>/dev/null | head -n 1)
  printf '{"stage": "%s", "status": "%s", "exit_code": %d, "seconds": %d, "reason": %s, "gpu": %s, "commit": %s}\n' \
    "$stage" "$status" "$code" $(($(date +%s) - began)) "$(quoted "$reason")" "$(quoted "$gpu")" \
    "$(quoted "$(git rev-parse HEAD 2>/dev/null || true)")" >"$out/$stage.json.tmp"
  mv "$out/$stage.json.tmp" "$out/$stage.json"
  echo "$stage: $status${reason:+ ($reason)}"
  if [ "$status" = failed ] || [ "$status" = "timed out" ]; then
    failures=$((failures + 1))
    tail -n 15 "$out/$stage.log"
    [ "$stage" != build ] || break
  fi
done
exit $((failures > 0))
