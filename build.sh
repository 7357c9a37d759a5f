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
# shellcheck source=scripts/test.sh
source scripts/test.sh
# shellcheck source=scripts/bench.sh
source scripts/bench.sh
# shellcheck source=scripts/model.sh
source scripts/model.sh

show_help() {
  cat <<END
usage: ./build.sh COMMAND

  serve [ARGUMENT...]   builds everything and serves the page (http://localhost:8080; --port N for another)
  test [STEP...]        runs all tests, or only these steps: ${TEST_STEPS[*]}
  check                 the quick part of the tests: formatting, lints, types
  wasm [KIND...]        builds the WebAssembly, all artefacts or these: ${ALL_WASM_KINDS[*]}
  bench cpu [PART...]   times the CPU engine against its peers; parts: ${CPU_BENCH_PARTS[*]}
  bench browser         times the package against ONNX Runtime Web in headless Chromium, on the CPU and WebGPU
  bench dataset         times the check of a data set against one in Python, with Pillow, and in a browser
  bench gallery [COUNT...] times galleries of so many vectors against FAISS, reading memory, and in a browser its peers there
  bench retrieval DATASET [--classes LIST] [MODEL...]
                        tells how well models find images of the same class, beside colour histograms and the like
  model DATASET [RUN]   trains the model in the box on DATASET and puts it in its place; with RUN, a run of \`train\`, that one
  npm                   makes the npm package in $PACKAGE_DIR
  tools                 installs what building and testing need, and nothing else
  clean                 removes what was built here; $CACHE keeps the tools

What is missing is installed: the wasm32 target, wasm-bindgen, npm packages, for tests a browser, too.
END
}

build_program() {
  need_rust
  say "compiling the program"
  cargo build --release --bin image-feature || fail "the program did not compile: look at cargo's message above"
}

serve() {
  need_wasm_tools
  build_program
  build_wasm_kinds
  exec "$TARGET_DIR/release/image-feature" serve www "$@"
}

# All in one function: bash reads a script as it runs it, and would go astray where the file is changed meanwhile.
main() {
  local command="${1:-help}" kind
  [ $# = 0 ] || shift
  case "$command" in
    serve) serve "$@" ;;
    test) run_tests "$@" ;;
    run-step) "step_$1" ;;
    check) run_tests format lint types ;;
    wasm)
      need_wasm_tools
      [ $# -gt 0 ] || set -- "${WASM_KINDS[@]}"
      for kind in "$@"; do build_wasm "$kind"; done
      ;;
    npm)
      need_wasm_tools
      build_package
      ;;
    bench)
      run_benchmark "$@"
      ;;
    model) build_model "$@" ;;
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
