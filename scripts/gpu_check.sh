#!/usr/bin/env bash
# Runs all checks that need a GPU, in stages of at most 8 minutes that can be repeated one by one. Each stage writes
# OUT/<stage>.json with its status (passed, failed, skipped, timed out), reason and seconds, and its output to
# OUT/<stage>.log. A stage that has passed is not run again without --again.
#
#   scripts/gpu_check.sh [--out FOLDER] [--again] [STAGE...]     default: OUT is runs/gpu_check, all stages
#
#   build      configures with TDDS_CUDA=ON for this GPU, and builds
#   golden     compares convolution with an asymmetric filter and the linear layer with their definitions
#   tests      runs all tests and requires the CUDA cases (TDDS_REQUIRE_GPU=1)
#   sanitizer  runs compute-sanitizer over the kernel tests; skipped where it is missing or not permitted
#   bench      measures kernels and steps, as JSON under OUT/bench
#   compare    compares the step with PyTorch's (bench/compare_gpu.py), into OUT/compare_gpu.json; skipped without torch
#   train      trains briefly with dynamics in every precision, and once with plans chosen by timing, under OUT/train
#   probe      checks the tensor cores and measures the card's limits (bench_probe), runs the tests and compute-sanitizer on
#              the kernels of a step, and profiles each kernel of one step with Nsight Compute where that is permitted
#   perf       times the step in fp16, bf16 and tf32, with each means of speed turned off, beside PyTorch and the builds in
#              TDDS_BASELINES ("NAME=BENCH_STEP ..."), and prints a table
#   peers      times each op in fp16 beside PyTorch's, and all of cuDNN's plans of each convolution, into OUT/peers.json
#
# probe, perf and peers do not depend on the other stages except build, which they run where it is missing.
#
# Needs no network. TDDS_DEPS may name a folder with include/ and lib/ of the libraries that scripts/setup.sh would
# install, and TDDS_CUDNN_ROOT one with those of cuDNN (also in the layout of NVIDIA's Python wheels).
# shellcheck disable=SC2317  # the stages are called by name
set -uo pipefail
. "$(dirname "$0")/usage.sh" --out --again -- "$@"
cd "$(dirname "$0")/.." || exit 1
out=runs/gpu_check
again=0
stages=()
all_stages=(build golden tests sanitizer bench train compare probe perf peers)
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=${2:?--out needs a folder}; shift ;;
    --again) again=1 ;;
    build | golden | tests | sanitizer | bench | train | compare | probe | perf | peers) stages+=("$1") ;;
    *) echo "gpu_check.sh: unknown argument '$1'; stages: ${all_stages[*]}; flags: --out, --again" >&2; exit 2 ;;
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
  # Each test has its own time limit. Four tests at a time fit in the memory of any GPU. The tests that need the GPU run
  # first, in case the others exceed the time limit of this stage.
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
  # Some virtual machines do not permit the debugging interface that the tool needs.
  # Lines of the tool's own output begin with equals signs.
  local refused
  "$tool" --error-exitcode 86 "$build/tests/kernels_test" --gtest_filter='*StreamTest*cuda*' >"$out/sanitizer_try.log" 2>&1
  refused=$(grep -iE -m 1 '^=+ .*(not supported|unable to|insufficient permission|failed to initialize)' "$out/sanitizer_try.log") && {
    skip "compute-sanitizer is not permitted here: $refused"
    return
  }
  # Each kernel in one type: fp16 where there is a choice, because its 16-byte vectors have the most elements.
  local failed=0 check code flags
  local cases='*/cuda_f16:*SoftmaxKl*/cuda_f32:*Sort*/cuda_f32:*Step*/cuda_f32:*FeatureNorm*/cuda_f32'
  for check in memcheck racecheck synccheck initcheck; do
    echo "== $check"
    # cuDNN and cuBLAS make calls that may fail and handle the failure; these are not errors.
    flags=()
    [ "$check" != memcheck ] || flags=(--report-api-errors no)
    # All memory is filled when allocated, so initcheck finds only memory that kernels leave unwritten.
    timeout 110 "$tool" --tool "$check" "${flags[@]}" --error-exitcode 86 "$build/tests/kernels_test" --gtest_filter="$cases"
    code=$?
    case $code in
      0) ;;
      86) echo "$check: found errors" && failed=1 ;;
      124) echo "$check: not finished in 110 s" && failed=1 ;;
      *) echo "$check: exit code $code" && failed=1 ;;
    esac
  done
  return "$failed"
}

stage_bench() {
  local failed=0 precision
  mkdir -p "$out/bench"
  timeout 220 "$build/bench/bench_kernels" --device cuda --seconds 0.1 --rounds 5 --out "$out/bench/kernels.json" ||
    failed=1
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
      --no-cudnn_autotune --print_freq 0 --overwrite --save_path "$out/train/$precision" || failed=1
  done
  echo "== fp16, plans chosen by timing"
  timeout 110 "$build/apps/tdds-train" --device cuda --precision fp16 --dataset shapes --epochs 1 --print_freq 0 --overwrite \
    --cudnn_autotune --plan_cache "$out/train/plans" --save_path "$out/train/autotuned" || failed=1
  return "$failed"
}

# TDDS_TORCH_PYTHON names the Python that has torch. If compiling is slow, one precision per call fits the time limit:
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

need_build() {
  [ -x "$build/bench/bench_step" ] || stage_build
}

stage_probe() {
  need_build || return 1
  local failed=0 tool check code
  echo "== tensor cores and limits"
  "$build/bench/bench_probe" | tee "$out/probe_limits.json" || failed=1
  echo "== the kernels of a step"
  local cases='*BatchNorm*cuda*:*Head*cuda*:*Sgd*cuda*:*CheckFinite*cuda*:*Repeat*cuda*'
  timeout 60 "$build/tests/kernels_test" --gtest_brief=1 --gtest_filter="$cases" || failed=1
  timeout 90 "$build/tests/engine_test" --gtest_brief=1 --gtest_filter='*Steps*cuda*' || failed=1
  if tool=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer); then
    for check in memcheck racecheck; do
      echo "== $check"
      timeout 60 "$tool" --tool "$check" --report-api-errors no --error-exitcode 86 "$build/tests/kernels_test" \
        --gtest_brief=1 --gtest_filter='*BatchNorm*/cuda_f16:*Head*/cuda_f16:*Sgd*/cuda_f16' | tail -n 5
      code=${PIPESTATUS[0]}
      case $code in
        0) ;;
        124) echo "$check: not finished in 60 s" ;;
        *) echo "$check: exit code $code" && failed=1 ;;
      esac
    done
  else
    echo "compute-sanitizer is not installed"
  fi
  if tool=$(PATH=$PATH:/usr/local/cuda/bin command -v ncu); then
    echo "== profile of one step"
    timeout 90 "$tool" --clock-control none --cache-control none --nvtx --print-nvtx-rename kernel --csv --page raw --metrics \
      gpu__time_duration.sum,dram__bytes.sum,lts__t_bytes.sum,sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active \
      "$build/bench/bench_step" --device cuda --precision fp16 --batch-size 128 --eager --warmup 0 --steps 1 \
      >"$out/probe_profile.csv" || echo "Nsight Compute cannot profile here; probe_profile.csv says why"
  else
    echo "Nsight Compute is not installed"
  fi
  return "$failed"
}

stage_perf() {
  need_build || return 1
  # shellcheck disable=SC2086  # words
  "${TDDS_TORCH_PYTHON:-python3}" bench/compare_gpu.py --tdds "$build/bench/bench_step" --out "$out/perf_table.json" \
    --precisions fp16 bf16 tf32 --dynamics on --toggles --rounds 3 --seconds 400 \
    ${TDDS_BASELINES:+--baseline $TDDS_BASELINES} || return 1
  ! grep -q '"failed"' "$out/perf_table.json"
}

stage_peers() {
  need_build || return 1
  local torch=()
  if "${TDDS_TORCH_PYTHON:-python3}" -c 'import torch' 2>/dev/null; then torch=(--torch); fi
  "$build/bench/bench_kernels" --device cuda --precision fp16 --seconds 0.1 --rounds 5 --engines "${torch[@]}" \
    --out "$out/peers.json"
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

# A stage runs in its own process, so that the time limit ends all of it.
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
    echo "$stage: already passed"
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
