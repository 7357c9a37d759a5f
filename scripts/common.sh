# shellcheck shell=bash
# Messages, checks for programs, installation of Debian packages.

# The packages of the native program and its tests. They are always compiled together: each alone would select other
# features of common dependencies, and Burn would be compiled a second time.
# shellcheck disable=SC2034 # for the scripts that come after this one
# With the driver for GPUs that only tests use, so that the library is compiled once for the program and the tests.
NATIVE=(--package image-feature --package image-feature-cli --features image-feature/gpu-native)

# say MESSAGE...: prints a line of progress. STEP, as "2/9", is set if a command has several steps.
say() { printf '\033[1m==> %s%s\033[0m\n' "${STEP:+[$STEP] }" "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# at_least WANTED FOUND: whether version FOUND is WANTED or newer.
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# hash_of FILE...: one hash of the contents of all files.
hash_of() {
  if have sha256sum; then cat "$@" | sha256sum; else cat "$@" | shasum -a 256; fi | cut -d ' ' -f 1
}

# unchanged STAMP HASH: whether the file STAMP has HASH, so that its step need not run again.
unchanged() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# apt_install PACKAGE...: installs Debian packages, with sudo if the user is not root.
apt_install() {
  have apt-get || fail "need $*: install them with your package manager, then run this again"
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    have sudo || fail "need the Debian packages $*: run 'apt-get install $*' as root, then run this again"
    sudo=(sudo)
  fi
  say "installing $* (apt)"
  "${sudo[@]}" apt-get update -qq >&2 || say "apt-get update failed; trying with the package lists at hand"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 \
    || fail "apt-get could not install $*: look at its message above"
}
