# shellcheck shell=bash
# The WebAssembly artefacts, into www/image-feature/wasm/KIND. A browser fetches the one that suits it:
#
#   cpu                  everything but WebGPU, for any browser with SIMD
#   cpu-relaxed          the same with relaxed SIMD (a multiplication and an addition in one instruction)
#   cpu-threads          the same as cpu, for several threads on shared memory
#   cpu-threads-relaxed  with both
#   gpu                  the network on WebGPU
#   dataset              data sets alone: the others are on the way of every first result, and would be a quarter heavier
#   gallery              galleries alone, for the same reason

TARGET_DIR="${CARGO_TARGET_DIR:-target}"
ALL_WASM_KINDS=(cpu cpu-relaxed cpu-threads cpu-threads-relaxed gpu dataset gallery)
# those that can be built here: need_wasm_tools adds the rest
WASM_KINDS=(cpu cpu-relaxed gpu dataset gallery)

# What wasm-bindgen needs to start threads in a memory that others have made. 2 GiB hold a model and the largest image
# that is decoded; browsers reserve the addresses at once, and where one refuses, the loader takes one thread.
THREADS_LINK=(--shared-memory --import-memory --max-memory=2147483648
  --export=__wasm_init_tls --export=__tls_size --export=__tls_align --export=__tls_base)

# build_wasm KIND: compiles and binds one artefact.
#
# There is no wasm-opt here: after link-time optimisation it takes 1 % off the gzipped gpu artefact (-Oz) and adds 1 %
# to the cpu one (-O3), no faster, for minutes of work.
build_wasm() {
  local kind="$1" profile="wasm-$1" features=cpu target_features=+simd128 in_toolchain=in_wasm_toolchain flags
  local compiled work out stamp hash
  [[ " ${ALL_WASM_KINDS[*]} " == *" $kind "* ]] || fail "no wasm artefact '$kind': there are ${ALL_WASM_KINDS[*]}"
  [[ " ${WASM_KINDS[*]} " == *" $kind "* ]] || fail "$kind cannot be built: see above why there is no standard library for threads"
  case "$kind" in
    gpu) features=webgpu ;;
    dataset) features=dataset ;;
    gallery) features=gallery ;;
    *-relaxed) target_features+=,+relaxed-simd ;;
  esac
  flags=
  # only small functions are worth copying to where they are called: 10 % less to download, and as fast
  [ "$kind" = gpu ] || flags+=" -Cllvm-args=-inline-threshold=40"
  if [[ "$kind" == cpu-threads* ]]; then
    features=threads
    in_toolchain=in_threads_toolchain
    target_features+=,+atomics,+bulk-memory,+mutable-globals
    flags+="$(printf ' -Clink-arg=%s' "${THREADS_LINK[@]}")"
  fi
  say "compiling the $kind wasm"
  RUSTFLAGS="-Ctarget-feature=$target_features$flags" "$in_toolchain" cargo rustc --lib --crate-type cdylib --profile "$profile" --target "$WASM_TARGET" \
    --no-default-features --features "$features" \
    || fail "the $kind wasm did not compile: look at cargo's message above"

  compiled="$TARGET_DIR/$WASM_TARGET/$profile/image_feature.wasm"
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

# build_wasm_kinds: all that can be built here; of the others nothing old is left for the page to find.
build_wasm_kinds() {
  local kind
  for kind in "${ALL_WASM_KINDS[@]}"; do
    if [[ " ${WASM_KINDS[*]} " == *" $kind "* ]]; then build_wasm "$kind"; else rm -rf "www/image-feature/wasm/$kind"; fi
  done
}

# build_all_wasm: all, or it fails: what is tested and published must not lack any.
build_all_wasm() {
  local kind
  for kind in "${ALL_WASM_KINDS[@]}"; do build_wasm "$kind"; done
}

# check_wasm_size KIND BYTES: prints what an artefact weighs gzipped and fails where that is more than BYTES.
check_wasm_size() {
  local kind="$1" most="$2" bytes
  bytes="$(gzip -9 -c "www/image-feature/wasm/$kind/image_feature_bg.wasm" | wc -c)"
  printf '%s wasm: %d bytes gzipped, %d at most\n' "$kind" "$bytes" "$most"
  [ "$bytes" -le "$most" ]
}
