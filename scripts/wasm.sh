# shellcheck shell=bash
# The WebAssembly artefacts, into www/image-feature/wasm/KIND. A browser fetches the one that suits it:
#
#   cpu                  everything but WebGPU, for any browser with SIMD
#   cpu-relaxed          the same with relaxed SIMD (a multiplication and an addition in one instruction)
#   cpu-threads          the same as cpu, for several threads on shared memory
#   cpu-threads-relaxed  with both
#   gpu                  the network on WebGPU
#   dataset              data sets alone: in the others they would make a quarter more to download before a first result
#   gallery              galleries alone, for the same reason
#
# All are the crate crates/wasm in the cargo profile `wasm`. Most of the time goes into its dependencies. cargo compiles
# them once for all artefacts of the same flags: so those for threads share theirs, and all others share theirs.

TARGET_DIR="${CARGO_TARGET_DIR:-target}"
ALL_WASM_KINDS=(cpu cpu-relaxed cpu-threads cpu-threads-relaxed gpu dataset gallery)

# Makes wasm-bindgen able to start threads in a memory that others have made. 2 GiB hold a model and the largest image
# that is decoded. Browsers reserve the addresses at once, and where one refuses, the loader takes one thread.
THREADS_LINK=(--shared-memory --import-memory --max-memory=2147483648
  --export=__wasm_init_tls --export=__tls_size --export=__tls_align --export=__tls_base)

# build_wasm KIND: compiles and binds one artefact.
#
# There is no wasm-opt here: after link-time optimisation it takes 1 % off the gzipped gpu artefact (-Oz) and adds 1 %
# to the cpu one (-O3), no faster, for minutes of work.
build_wasm() {
  local kind="$1" features=network target_features=+simd128 in_toolchain=in_wasm_toolchain wrapper="" last=()
  local compiled out stamp hash
  [[ " ${ALL_WASM_KINDS[*]} " == *" $kind "* ]] || fail "no wasm artefact '$kind': there are ${ALL_WASM_KINDS[*]}"
  # only small functions are worth copying to where they are called: 10 % less to download, and as fast
  [ "$kind" = gpu ] || last+=(-Cllvm-args=-inline-threshold=40)
  case "$kind" in
    gpu | dataset | gallery) features="$kind" ;;
    cpu-threads*)
      features=threads
      in_toolchain=in_threads_toolchain
      target_features+=,+atomics,+bulk-memory,+mutable-globals
      last+=("${THREADS_LINK[@]/#/-Clink-arg=}")
      ;;
  esac
  [[ "$kind" != *-relaxed ]] || wrapper="$PWD/scripts/rustc-relaxed-simd"
  if [ "$features" = threads ]; then need_threads_toolchain; else need_wasm_toolchain; fi
  say "compiling the $kind WebAssembly (the first time about $(wasm_time "$kind"))"
  # `cargo rustc` gives the flags after `--` to the last crate alone: its link-time optimisation is where they count
  RUSTFLAGS="-Ctarget-feature=$target_features" RUSTC_WORKSPACE_WRAPPER="$wrapper" "$in_toolchain" \
    cargo rustc --package image-feature-wasm --crate-type cdylib --profile wasm --target "$WASM_TARGET" \
    --features "$features" -- "${last[@]}" \
    || fail "the $kind WebAssembly did not compile: look at cargo's message above"

  # all kinds have this name; cargo puts the right one there even where it has nothing to compile
  compiled="$TARGET_DIR/$WASM_TARGET/wasm/image_feature_wasm.wasm"
  out="www/image-feature/wasm/$kind"
  stamp="www/image-feature/wasm/.$kind-stamp"
  hash="$(hash_of "$compiled" scripts/wasm.sh crates/bind/src/main.rs Cargo.lock)"
  [ -f "$out/image_feature_bg.wasm" ] && unchanged "$stamp" "$hash" && return
  bind_wasm "$compiled" "$out"
  echo "$hash" >"$stamp"
}

# bind_wasm COMPILED FOLDER: writes what a browser loads. The folder is replaced at once: its page may be open.
bind_wasm() {
  local compiled="$1" out="$2"
  need_bind
  rm -rf "$out.new" "$out.old"
  mkdir -p "$out.new"
  "$TARGET_DIR/debug/image-feature-bind" "$compiled" "$out.new" || fail "$compiled could not be bound: look at the message above"
  [ ! -e "$out" ] || mv "$out" "$out.old"
  mv "$out.new" "$out"
  rm -rf "$out.old"
}

# remove_wasm KIND: leaves nothing of an artefact for the page to find.
remove_wasm() { rm -rf "www/image-feature/wasm/$1" "www/image-feature/wasm/.$1-stamp"; }

# wasm_time KIND: how long two cores compile it where nothing is compiled yet, in the order of `serve`.
wasm_time() {
  case "$1" in
    cpu | cpu-threads-relaxed) echo "2 min" ;;
    gpu) echo "6 min" ;;
    *) echo "half a minute" ;;
  esac
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
