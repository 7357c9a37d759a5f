# shellcheck shell=bash
# The tests, step by step. Each step is a command of its own: `./build.sh test STEP`.

TEST_STEPS=(tools format lint rust python wasm wasm-tests types browser package)
# Not among all: before a release.
MORE_STEPS=(features matrix)

# advice STEP: what to do if the step fails.
advice() {
  case "$1" in
    tools) echo "look at the message above: it says what could not be installed, and why" ;;
    format) echo "run 'cargo fmt' and 'npm run format'; for shell scripts, do what shellcheck says" ;;
    lint) echo "mend what the linters report, or allow it in that place, with a reason" ;;
    rust) echo "run one test alone with 'cargo test --release ${NATIVE[*]} NAME'" ;;
    python) echo "run one test alone with '$CACHE/python/tests/bin/python -m pytest crates/python/tests -k NAME', where the wheel is installed" ;;
    wasm) echo "look at cargo's message; if an artefact is too large, find the cause with 'twiggy top', or raise the limit in scripts/test.sh" ;;
    wasm-tests) echo "look at the message of the test; webdriver.json holds the browser's flags" ;;
    features) echo "run 'cargo check --package PACKAGE --no-default-features --features FEATURE'" ;;
    types) echo "mend what tsc reports: 'npm run check:types'" ;;
    browser) echo "run one test alone with 'node --test tests/browser/NAME.test.mjs'" ;;
    package) echo "look at the folder $PACKAGE_DIR; run one test alone with 'node --test tests/package/NAME.test.mjs'" ;;
    matrix) echo "look at the message of the test; run one alone with 'node --test --test-name-pattern NAME tests/package/matrix/*.test.mjs'" ;;
  esac
}

step_tools() { need_test_tools; }

step_format() {
  need_linters
  need_node_modules
  cargo fmt --all --check
  shellcheck --external-sources build.sh .ci/run scripts/*.sh scripts/rustc-relaxed-simd
  npm run --silent --if-present check:format
}

# In the profile of the tests, so that macros and build scripts are compiled once for both.
step_lint() {
  local list package feature
  need_linters
  need_node_modules
  npm run --silent --if-present check:lint
  need_wasm_toolchain
  cargo clippy --release --all-targets "${NATIVE[@]}" -- --deny warnings
  cargo clippy --package image-feature-bind -- --deny warnings
  # the documentation, alone and with all that is light
  for feature in "" default-model,dataset,gallery; do
    RUSTDOCFLAGS="--deny warnings" cargo doc --release --quiet --no-deps --package image-feature --features "$feature"
  done
  # each feature alone: it only adds, so it needs no other
  list="$(packages_and_features)"
  while read -r package feature; do
    say "lint: $package with ${feature:-no feature}"
    if [ "$package" != image-feature-wasm ]; then
      cargo clippy --release --quiet --package "$package" --no-default-features --features "$feature" -- --deny warnings
    # a toolchain that was built here has no clippy
    elif [ "$WASM_PATH" = "$PATH" ]; then
      cargo clippy --release --quiet --package "$package" --features "$feature" --target "$WASM_TARGET" -- --deny warnings
    fi
  done <<<"$list"
}

# Each feature that brings Burn, alone. It takes some minutes for each, so `./build.sh test features` does it before a release,
# and the step lint checks them together. Not `cuda`: its build downloads LLVM.
step_features() {
  local package feature
  need_rust
  for package in image-feature:burn image-feature:flex image-feature:webgpu image-feature:train image-feature-cli:train image-feature-cli:webgpu; do
    feature="${package#*:}" package="${package%:*}"
    say "features: $package with $feature"
    RUSTFLAGS="--deny warnings" cargo check --quiet --package "$package" --no-default-features --features "$feature"
  done
}

# packages_and_features: a line for each package without features, and one for each of its features. Left out: `threads` and
# `gpu`, which the step `wasm` compiles, and those with Burn: see the step features.
packages_and_features() {
  cargo metadata --format-version 1 --no-deps | node -e '
    const { packages } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    for (const { name, features } of packages) {
      for (const feature of ["", ...Object.keys(features)]) {
        if (name !== "image-feature-bind" && !["burn", "cuda", "default", "flex", "gpu", "threads", "train", "webgpu"].includes(feature)) console.log(name, feature);
      }
    }'
}

# The program and its tests in one profile, so that Burn is compiled once. With a PostgreSQL and pretrained weights, if they
# can be had.
step_rust() {
  local with_postgres=()
  if need_postgres; then
    with_postgres=("$CACHE/postgres/bin/python" crates/cli/tests/cli/with_postgres.py)
  else
    say "no PostgreSQL could be installed: the tests of galleries in one are skipped"
  fi
  need_vulkan || say "no driver for Vulkan could be installed: the tests on a GPU are skipped"
  if need_pretrained; then
    export IMAGE_FEATURE_EFFICIENTNET_LITE0="$PRETRAINED"
  else
    say "the pretrained weights could not be fetched: the tests with them are skipped"
  fi
  "${with_postgres[@]}" cargo test --release --no-fail-fast "${NATIVE[@]}"
}

step_wasm() {
  local kind heavy=0
  build_all_wasm
  # with the detector, which is 30 KB: an artefact of its own would hold the decoders and kernels a second time
  for kind in cpu cpu-relaxed cpu-threads cpu-threads-relaxed; do check_wasm_size "$kind" 770000 || heavy=1; done
  check_wasm_size gpu 2500000 || heavy=1
  # with the tables of Unicode's forms, and readers of tables and old lists
  check_wasm_size dataset 740000 || heavy=1
  check_wasm_size gallery 340000 || heavy=1
  [ "$heavy" = 0 ]
}

# The same as `wasm-pack test --headless --chrome`, for the bindings, too.
step_wasm-tests() {
  need_browser
  need_wasm_toolchain
  need_wasm_test_runner
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER="$CACHE/tools/bin/wasm-bindgen-test-runner" CHROMEDRIVER="$(command -v chromedriver)" \
    WASM_BINDGEN_TEST_ONLY_WEB=1 WASM_BINDGEN_TEST_WEBDRIVER_JSON="$PWD/webdriver.json" \
    in_wasm_toolchain cargo test --tests --target "$WASM_TARGET" --package image-feature --package image-feature-wasm \
    --no-default-features --features image-feature/cpu,image-feature/dataset,image-feature-wasm/network,image-feature-wasm/dataset
}

# The types of the package's modules refer to those of the WebAssembly.
step_types() {
  need_node_modules
  build_all_wasm
  npm run --silent check:types
}

step_browser() {
  need_browser
  need_node_modules
  build_program
  build_all_wasm
  CHROMIUM="$(find_browser)" IMAGE_FEATURE_BIN="$(realpath "$TARGET_DIR")/release/image-feature" npm run --silent test:browser
}

step_package() {
  need_browser
  build_program
  build_package
  npm run --silent --if-present check:package
  test_package tests/package/*.test.mjs
}

# The package in every bundler and runtime: it installs half a gigabyte from the npm registry, and takes 5 minutes.
step_matrix() {
  need_browser
  build_program
  build_package
  test_package tests/package/matrix/*.test.mjs
}

# test_package FILE...
test_package() {
  CHROMIUM="$(find_browser)" IMAGE_FEATURE_BIN="$(realpath "$TARGET_DIR")/release/image-feature" node --test --test-concurrency=1 "$@"
}

# run_tests [STEP...]: runs these steps, or all, also after one has failed; then prints which failed and what to do.
run_tests() {
  local step steps=("$@") started seconds passed=0 failed=0 report=()
  [ $# -gt 0 ] || steps=("${TEST_STEPS[@]}")
  for step in "${steps[@]}"; do
    [[ " ${TEST_STEPS[*]} ${MORE_STEPS[*]} " == *" $step "* ]] \
      || fail "no test step '$step': there are ${TEST_STEPS[*]}, and ${MORE_STEPS[*]}, which runs only by its name"
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
