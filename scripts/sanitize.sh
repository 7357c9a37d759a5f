# shellcheck shell=bash
# AddressSanitizer for the code with `unsafe`: it stops a test at the first access outside of an allocation.

SANITIZE_TARGET=x86_64-unknown-linux-gnu

# sanitize: runs the tests of plans, kernels and the scan under AddressSanitizer.
#
# The stable compiler has the sanitizer, but enables it only if RUSTC_BOOTSTRAP is set. The kernels are the same as in other
# builds. The standard library is not instrumented.
sanitize() {
  local test=(cargo test --target "$SANITIZE_TARGET" --no-default-features --features "cpu,gallery")
  [ "$(uname -sm)" = "Linux x86_64" ] || fail "the sanitizer is set up for Linux on x86-64 alone"
  need_rust
  say "testing the engine under AddressSanitizer"
  export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR="$TARGET_DIR/sanitize"
  "${test[@]}" --test engine_plan || fail "the sanitizer or a test found a fault: see above"
  "${test[@]}" --lib -- engine:: || fail "the sanitizer or a test found a fault: see above"
}
