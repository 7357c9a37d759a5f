# shellcheck shell=bash
# The two WebAssembly artefacts, into www/image-feature/wasm/{cpu,gpu}.

TARGET_DIR="${CARGO_TARGET_DIR:-target}"

# build_wasm KIND: compiles and binds one artefact, `cpu` or `gpu`.
#
# There is no wasm-opt here: after link-time optimisation it takes 1 % off the gzipped gpu artefact (-Oz) and adds 1 %
# to the cpu one (-O3), no faster, for minutes of work.
build_wasm() {
  local kind="$1" features compiled work out stamp hash
  case "$kind" in
    cpu) features=flex ;;
    gpu) features=webgpu ;;
    *) fail "no wasm artefact '$kind': there are cpu and gpu" ;;
  esac
  say "compiling the $kind wasm"
  in_wasm_toolchain cargo rustc --lib --crate-type cdylib --profile "wasm-$kind" --target "$WASM_TARGET" \
    --no-default-features --features "$features" \
    || fail "the $kind wasm did not compile: look at cargo's message above"

  compiled="$TARGET_DIR/$WASM_TARGET/wasm-$kind/image_feature.wasm"
  out="www/image-feature/wasm/$kind"
  stamp="www/image-feature/wasm/.$kind-stamp"
  hash="$(hash_of "$compiled" scripts/wasm.sh)"
  [ -f "$out/image_feature_bg.wasm" ] && unchanged "$stamp" "$hash" && return

  say "binding the $kind wasm"
  work="$TARGET_DIR/wasm-$kind-package"
  rm -rf "$work"
  in_wasm_toolchain wasm-bindgen --target web --out-dir "$work" --out-name image_feature \
    --remove-name-section --remove-producers-section "$compiled" \
    || fail "wasm-bindgen failed on $compiled: look at its message above"
  mkdir -p "$(dirname "$out")"
  rm -rf "$out"
  cp -r "$work" "$out"
  rm -rf "$work"
  echo "$hash" >"$stamp"
}

# check_wasm_size KIND BYTES: prints what an artefact weighs gzipped and fails where that is more than BYTES.
check_wasm_size() {
  local kind="$1" most="$2" bytes
  bytes="$(gzip -9 -c "www/image-feature/wasm/$kind/image_feature_bg.wasm" | wc -c)"
  printf '%s wasm: %d bytes gzipped, %d at most\n' "$kind" "$bytes" "$most"
  [ "$bytes" -le "$most" ]
}
