# shellcheck shell=bash
# The benchmarks: this project beside named peers, measured in one run. Peers are installed below target/bench.

CPU_BENCH_PARTS=(native roofline browser)

# run_benchmark cpu [PART...] | browser | gpu [CONTENDER...] | gallery [COUNT...] | dataset | retrieval DATASET [--classes LIST] [[NAME=]MODEL...]
run_benchmark() {
  local benchmark="${1:-}"
  [ $# = 0 ] || shift
  case "$benchmark" in
    cpu) bench_cpu "$@" ;;
    browser) bench_browser ;;
    gpu) bench_gpu "$@" ;;
    dataset) bench_dataset ;;
    gallery) bench_gallery "$@" ;;
    retrieval) bench_retrieval "$@" ;;
    *) fail "no benchmark '$benchmark': there are cpu, browser, gpu, dataset, gallery and retrieval" ;;
  esac
}

bench_cpu() {
  local parts=("$@") part
  [ $# -gt 0 ] || parts=("${CPU_BENCH_PARTS[@]}")
  for part in "${parts[@]}"; do
    [[ " ${CPU_BENCH_PARTS[*]} " == *" $part "* ]] || fail "no part '$part': there are ${CPU_BENCH_PARTS[*]}"
  done
  need_rust
  need_node_modules
  [[ " ${parts[*]} " != *" native "* ]] || need_python
  if [[ " ${parts[*]} " == *" browser "* ]]; then
    need_wasm_in_browser cpu cpu-relaxed cpu-threads cpu-threads-relaxed
    bundle_package target/bench/package browser
  fi
  CHROMIUM="$(find_browser)" node benches/cpu.mjs "${parts[@]}"
}

bench_browser() {
  need_node_modules
  need_wasm_in_browser cpu cpu-relaxed gpu
  CHROMIUM="$(find_browser)" node benches/browser.mjs
}

bench_gpu() {
  need_node_modules
  need_wasm_in_browser cpu cpu-relaxed gpu
  bundle_package target/bench/package
  CHROMIUM="$(find_browser)" node benches/gpu.mjs "$@"
}

bench_dataset() {
  need_rust
  need_node_modules
  need_python
  need_wasm_in_browser dataset
  CHROMIUM="$(find_browser)" node benches/dataset.mjs
}

bench_gallery() {
  need_rust
  need_node_modules
  need_python
  need_wasm_in_browser gallery
  node benches/gallery.mjs "$@"
  CHROMIUM="$(find_browser)" node benches/gallery-browser.mjs "$@"
}

# Models beside features that need no training, among them the network with random weights.
bench_retrieval() {
  [ $# -gt 0 ] || fail "which data set? ./build.sh bench retrieval DATASET [--classes 0,5,20-30] [[NAME=]MODEL...]"
  need_rust
  # with the program's features, so that nothing is compiled a second time
  cargo bench --quiet --bench retrieval "${NATIVE[@]}" --features image-feature/default-model,image-feature/train -- "$@"
}

# need_wasm_in_browser KIND...: builds these artefacts, and installs a browser to run them.
need_wasm_in_browser() {
  local kind
  need_browser
  for kind in "$@"; do build_wasm "$kind"; done
}

# Python, for the peers that come from PyPI.
need_python() {
  local wanted=3.11
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then apt_install python3 python3-venv; fi
  python3 -c "import sys; sys.exit(sys.version_info < (${wanted/./, }))" \
    || fail "need Python $wanted or newer for the peers, found $(python3 --version): get it from https://www.python.org"
}
