# shellcheck shell=bash
# The tests, step by step. Each step is a command of its own: `./build.sh test STEP`.

TEST_STEPS=(tools format lint rust wasm wasm-tests types browser package)

# What to do where a step fails.
advice() {
  case "$1" in
    tools) echo "what could not be installed, and why, is said above" ;;
    format) echo "run 'cargo fmt'; for shell scripts, do what shellcheck says" ;;
    lint) echo "mend what clippy and rustdoc say, or allow it at the spot with a reason" ;;
    rust) echo "run one test alone with 'cargo test --release NAME'" ;;
    wasm) echo "look at cargo's message; where it grew too heavy, find what came in with 'twiggy top' or raise the limit in scripts/test.sh" ;;
    wasm-tests) echo "run 'wasm-pack test --headless --chrome' and look at its message; webdriver.json holds the browser's flags" ;;
    types) echo "mend what tsc says: 'npm run check:types'" ;;
    browser) echo "run one test alone with 'node --test tests/browser/NAME.test.mjs'" ;;
    package) echo "look at the folder $PACKAGE_DIR" ;;
  esac
}

step_tools() { need_test_tools; }

step_format() {
  cargo fmt --check
  shellcheck --external-sources build.sh .ci/run scripts/*.sh
}

step_lint() {
  local features
  cargo clippy --release --all-targets -- --deny warnings
  need_wasm_toolchain
  # what only browsers see; a toolchain built here has no clippy
  [ "$WASM_PATH" = "$PATH" ] || return 0
  for features in threads,dataset gallery; do
    cargo clippy --target "$WASM_TARGET" --lib --no-default-features --features "$features" -- --deny warnings
  done
}

# The program and its tests in one profile, so that Burn is compiled once. Beside it a PostgreSQL, where that can be had.
step_rust() {
  if need_postgres; then
    "$CACHE/postgres/bin/python" tests/cli/with_postgres.py cargo test --release
  else
    say "no PostgreSQL could be installed: the tests of galleries in one are skipped"
    cargo test --release
  fi
}

step_wasm() {
  local kind heavy=0
  need_wasm_tools
  build_all_wasm
  for kind in cpu cpu-relaxed cpu-threads cpu-threads-relaxed; do check_wasm_size "$kind" 700000 || heavy=1; done
  check_wasm_size gpu 2500000 || heavy=1
  check_wasm_size dataset 660000 || heavy=1
  check_wasm_size gallery 250000 || heavy=1
  [ "$heavy" = 0 ]
}

step_wasm-tests() {
  need_wasm_toolchain
  in_wasm_toolchain wasm-pack test --headless --chrome --mode no-install -- --no-default-features --features cpu,dataset
}

step_types() {
  need_node_modules
  npm run --silent check:types
}

step_browser() {
  need_wasm_tools
  build_program
  build_all_wasm
  CHROMIUM="$(find_browser)" IMAGE_FEATURE_BIN="$(realpath "$TARGET_DIR")/release/image-feature" npm run --silent test:browser
}

step_package() {
  need_wasm_tools
  build_package
  CHROMIUM="$(find_browser)" node --test tests/package/*.test.mjs
}

# run_tests [STEP...]: runs these steps, or all, each to its end, then says which failed and what to do.
run_tests() {
  local step steps=("$@") started seconds passed=0 failed=0 report=()
  [ $# -gt 0 ] || steps=("${TEST_STEPS[@]}")
  for step in "${steps[@]}"; do
    [[ " ${TEST_STEPS[*]} " == *" $step "* ]] || fail "no test step '$step': there are ${TEST_STEPS[*]}"
  done
  for step in "${steps[@]}"; do
    say "test: $step"
    started=$SECONDS
    # a process of its own: inside a condition, bash ignores `set -e`
    if bash build.sh run-step "$step"; then
      seconds=$((SECONDS - started))
      passed=$((passed + 1))
      report+=("$(printf 'passed  %-12s %5d s' "$step" "$seconds")")
    else
      seconds=$((SECONDS - started))
      failed=$((failed + 1))
      report+=("$(printf 'FAILED  %-12s %5d s  %s' "$step" "$seconds" "$(advice "$step")")")
    fi
  done
  printf '\n'
  printf '%s\n' "${report[@]}" ""
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
