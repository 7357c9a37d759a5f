#!/usr/bin/env bash
# image-feature: build, serve, test.   ./build.sh help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/tools.sh
source scripts/tools.sh
# shellcheck source=scripts/wasm.sh
source scripts/wasm.sh
# shellcheck source=scripts/package.sh
source scripts/package.sh
# shellcheck source=scripts/python.sh
source scripts/python.sh
# shellcheck source=scripts/test.sh
source scripts/test.sh
# shellcheck source=scripts/sanitize.sh
source scripts/sanitize.sh
# shellcheck source=scripts/bench.sh
source scripts/bench.sh
# shellcheck source=scripts/model.sh
source scripts/model.sh

show_help() {
  cat <<END
usage: ./build.sh COMMAND

  serve [ARGUMENT...]   builds the page's WebAssembly and serves the page (http://localhost:8080; --port N for another)
  serve --quick         the same with one artefact, for work on the page: no galleries, no data sets, one thread
  test [STEP...]        runs all tests, or only these steps: ${TEST_STEPS[*]}
  check                 formatting, lints and types alone: quick once everything is compiled
  sanitize              runs the tests of plans, kernels and the scan under AddressSanitizer
  wasm [KIND...]        builds the WebAssembly, all artefacts or these: ${ALL_WASM_KINDS[*]}
  bench cpu [PART...]   times the CPU engine against its peers; parts: ${CPU_BENCH_PARTS[*]}
  bench browser         times the package against ONNX Runtime Web in headless Chromium, on the CPU and WebGPU
  bench gpu [CONTENDER...]
                        times WebGPU in headless Chromium: plan (this package's shaders), burn, cpu, peer (ONNX Runtime Web)
  bench dataset         times the check of a data set against one in Python, with Pillow, and in a browser
  bench gallery [COUNT...]
                        times galleries of COUNT vectors against FAISS and, in a browser, against its peers there
  bench retrieval DATASET [--classes LIST] [MODEL...]
                        measures how well models find images of the same class, beside colour histograms and other simple features
  model DATASET...      makes the bundled models from published weights and these data sets, replaces them, and measures them
  npm                   makes the npm package in $PACKAGE_DIR
  wheel                 makes the Python package in $WHEEL_DIR
  tools                 installs what building and testing need, and nothing else
  clean                 removes what was built here; $CACHE keeps the tools

What is missing is installed: the wasm32 target, the standard library's sources, npm packages; for tests a browser, too.
END
}

build_program() {
  need_rust
  say "compiling the program"
  cargo build --release "${NATIVE[@]}" || fail "the program did not compile: look at cargo's message above"
}

# serve [--quick] [ARGUMENT...]: serves the page as soon as all of it works, and then builds the artefacts that make it faster.
serve() {
  local kind argument count=0 steps server arguments=() first=(cpu gallery dataset)
  local later=(cpu-threads-relaxed cpu-relaxed cpu-threads gpu)
  for argument in "$@"; do
    if [ "$argument" = --quick ]; then first=(cpu) later=(); else arguments+=("$argument"); fi
  done
  steps=$((2 + ${#first[@]} + ${#later[@]}))
  next_step() { count=$((count + 1)) && export STEP="$count/$steps"; }

  next_step
  say "npm packages"
  need_node_modules
  node scripts/serve.mjs --check "${arguments[@]}" || exit
  next_step
  say "Rust's target for WebAssembly, and the tool that binds it (the first time about 1 min)"
  need_wasm_toolchain
  need_bind
  for kind in "${first[@]}"; do
    next_step
    build_wasm "$kind"
  done
  if [ ${#later[@]} = 0 ]; then
    for kind in "${ALL_WASM_KINDS[@]}"; do [[ " ${first[*]} " == *" $kind "* ]] || remove_wasm "$kind"; done
    say "the page works with one artefact, ${first[0]}: no galleries, no data sets, one thread"
    exec node scripts/serve.mjs "${arguments[@]}"
  fi

  node scripts/serve.mjs "${arguments[@]}" &
  server=$!
  # shellcheck disable=SC2064 # the number of this server, now
  trap "kill $server 2>/dev/null || true" EXIT
  say "the page works now; threads and WebGPU, which make it faster, follow: reload the page to use them"
  for kind in "${later[@]}"; do
    next_step
    # in a process of its own, so that a failure does not end the server
    bash build.sh wasm "$kind" || {
      remove_wasm "$kind"
      say "left out: the $kind WebAssembly; the page works without it"
    }
    kill -0 "$server" 2>/dev/null || fail "the server has ended"
  done
  say "all is built; reload the page"
  wait "$server"
}

# All in one function: bash reads a script while it runs it. Otherwise a change to this file would break a command that runs.
main() {
  local command="${1:-help}" kind
  [ $# = 0 ] || shift
  case "$command" in
    serve) serve "$@" ;;
    test) run_tests "$@" ;;
    run-step) "step_$1" ;;
    sanitize) sanitize ;;
    check) run_tests format lint types ;;
    wasm)
      [ $# -gt 0 ] || set -- "${ALL_WASM_KINDS[@]}"
      for kind in "$@"; do build_wasm "$kind"; done
      ;;
    npm) build_package ;;
    wheel) build_wheel ;;
    bench)
      run_benchmark "$@"
      ;;
    model) build_models "$@" ;;
    tools) need_test_tools ;;
    clean)
      cargo clean
      rm -rf dist www/image-feature/wasm www/image-feature/types node_modules
      ;;
    help | --help | -h) show_help ;;
    *)
      show_help >&2
      fail "no command '$command'"
      ;;
  esac
}

main "$@"
exit
