# shellcheck shell=bash
# Builds the WebAssembly artefacts into www/image-feature/wasm/KIND. A browser fetches only those that it can use:
#
#   cpu                  images, model files and the network on the CPU, for any browser with SIMD
#   cpu-relaxed          the same with relaxed SIMD (a multiplication and an addition in one instruction)
#   cpu-threads          the same as cpu, for several threads on shared memory
#   cpu-threads-relaxed  with both
#   gpu                  the network on WebGPU
#   dataset              data sets: inside `cpu` they would make it a quarter larger, and delay the first result
#   gallery              galleries, for the same reason
#
# All are built from crates/wasm, in the cargo profile `wasm`. Its dependencies take most of the time. cargo compiles them
# once for all artefacts with the same flags: the two for threads share theirs, and so do all others. The last crate is
# another matter: all artefacts have one name, and cargo links each anew after another was linked. So this script asks cargo
# only where a source has changed since the artefact was made.

TARGET_DIR="${CARGO_TARGET_DIR:-target}"
ALL_WASM_KINDS=(cpu cpu-relaxed cpu-threads cpu-threads-relaxed gpu dataset gallery)

# wasm-bindgen needs these to start threads in a memory that another thread has made. 2 GiB hold a model and the largest
# image that is decoded. Browsers reserve the addresses at once; if one refuses, the loader takes one thread.
THREADS_LINK=(--shared-memory --import-memory --max-memory=2147483648
  --export=__wasm_init_tls --export=__tls_size --export=__tls_align --export=__tls_base)

# build_wasm KIND: compiles and binds one artefact.
#
# wasm-opt is not used. After link-time optimisation, -Oz makes the gzipped gpu artefact 1 % smaller, and -O3 makes the cpu
# one 1 % larger and not faster, in minutes of work.
build_wasm() {
  local kind="$1" features=network target_features=+simd128 in_toolchain=in_wasm_toolchain wrapper="" flags="" last=()
  local compiled="$TARGET_DIR/$WASM_TARGET/wasm/image_feature_wasm.wasm"
  local out="www/image-feature/wasm/$kind" stamp="www/image-feature/wasm/.$kind-stamp" hash
  [[ " ${ALL_WASM_KINDS[*]} " == *" $kind "* ]] || fail "no wasm artefact '$kind': there are ${ALL_WASM_KINDS[*]}"
  # inline only small functions: 10 % less to download, and as fast. The gpu artefact inlines even less by itself
  [ "$kind" = gpu ] || flags=" -Cllvm-args=-inline-threshold=40"
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
  hash="$(hash_of_wasm_sources)"
  [ -f "$out/image_feature_bg.wasm" ] && unchanged "$stamp" "$hash" && return
  say "compiling the $kind WebAssembly (the first time about $(wasm_time "$kind"))"
  # `cargo rustc` gives the flags after `--` to the last crate only, which is the one that is linked
  RUSTFLAGS="-Ctarget-feature=$target_features$flags" RUSTC_WORKSPACE_WRAPPER="$wrapper" "$in_toolchain" \
    cargo rustc --package image-feature-wasm --crate-type cdylib --profile wasm --target "$WASM_TARGET" \
    --features "$features" -- "${last[@]}" \
    || fail "the $kind WebAssembly did not compile: look at cargo's message above"

  bind_wasm "$compiled" "$out"
  echo "$hash" >"$stamp"
}

# hash_of_wasm_sources: one hash of all that an artefact is made from. The two toolchains change with rustc's version.
hash_of_wasm_sources() {
  local files=()
  mapfile -d "" files < <(find src crates/wasm crates/bind www/report -type f -print0 | LC_ALL=C sort -z)
  { hash_of "${files[@]}" Cargo.toml Cargo.lock scripts/wasm.sh scripts/rustc-relaxed-simd && rustc --version; } | tr '\n' ' '
}

# bind_wasm COMPILED FOLDER: writes the files that a browser loads. The folder is replaced as a whole: a page may be using it.
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

# remove_wasm KIND: removes an artefact, so that the page does not find an old one.
remove_wasm() { rm -rf "www/image-feature/wasm/$1" "www/image-feature/wasm/.$1-stamp"; }

# wasm_time KIND: how long two cores take when nothing is compiled yet, in the order of `serve`.
wasm_time() {
  case "$1" in
    cpu | cpu-threads-relaxed) echo "2 min" ;;
    gpu) echo "6 min" ;;
    *) echo "half a minute" ;;
  esac
}

# build_all_wasm: builds all artefacts, or fails: tests and the package need all.
build_all_wasm() {
  local kind
  for kind in "${ALL_WASM_KINDS[@]}"; do build_wasm "$kind"; done
}

# check_wasm_size KIND BYTES: prints the gzipped size of an artefact, and fails if it is more than BYTES.
check_wasm_size() {
  local kind="$1" most="$2" bytes
  bytes="$(gzip -9 -c "www/image-feature/wasm/$kind/image_feature_bg.wasm" | wc -c)"
  printf '%s wasm: %d bytes gzipped, %d at most\n' "$kind" "$bytes" "$most"
  [ "$bytes" -le "$most" ]
}
