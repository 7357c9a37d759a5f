# shellcheck shell=bash
# The Python package: the wheel, and its tests in a fresh environment.

WHEEL_DIR=dist/python
# For building and checking the wheel.
PYTHON_TOOLS=(maturin==1.16.0 mypy==2.4.1 twine==7.0.0)
# For its tests. The package itself needs NumPy alone; pandas, Pillow and tqdm are used where they are there.
PYTHON_TEST_PACKAGES=(numpy==2.4.6 pandas==3.1.1 pillow==13.0.0 pytest==9.2.0 tqdm==4.70.1)

# need_venv DIR PACKAGE...: an environment with these packages, made anew where the list has changed.
need_venv() {
  local dir="$1" wanted
  shift
  wanted="$*"
  unchanged "$dir/made-of" "$wanted" && return
  say "installing $wanted (pip)"
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv
  rm -rf "$dir"
  mkdir -p "$(dirname "$dir")"
  if ! python3 -m venv "$dir" >&2 || ! "$dir/bin/pip" install --quiet --disable-pip-version-check "$@" >&2; then
    rm -rf "$dir"
    fail "Python's packages could not be installed: look at pip's message above"
  fi
  echo "$wanted" >"$dir/made-of"
}

# Makes the wheel in WHEEL_DIR. It has no Burn in it.
build_wheel() {
  need_rust
  need_venv "$CACHE/python/tools" "${PYTHON_TOOLS[@]}"
  say "making the wheel in $WHEEL_DIR"
  rm -rf "$WHEEL_DIR"
  "$CACHE/python/tools/bin/maturin" build --release --manifest-path crates/python/Cargo.toml --out "$WHEEL_DIR" \
    || fail "the wheel could not be made: look at maturin's message above"
}

# the_wheel: its path.
the_wheel() {
  local wheels=("$WHEEL_DIR"/*.whl)
  [ -f "${wheels[0]}" ] || fail "there is no wheel in $WHEEL_DIR: run './build.sh wheel'"
  echo "${wheels[0]}"
}

# check_wheel_size BYTES: whether the wheel is smaller, and has no Burn in it.
check_wheel_size() {
  local wheel bytes
  wheel="$(the_wheel)"
  bytes="$(wc -c <"$wheel")"
  say "the wheel has $bytes bytes, of at most $1"
  [ "$bytes" -le "$1" ] || fail "$wheel has $bytes bytes: find the cause, or raise the limit in scripts/python.sh"
}

# test_wheel ARGUMENT...: installs the wheel into an environment of its own, and runs pytest with these arguments.
test_wheel() {
  local env="$CACHE/python/tests" wheel
  wheel="$(the_wheel)"
  need_venv "$env" "${PYTHON_TEST_PACKAGES[@]}"
  # the old package goes first: its files must not help
  "$env/bin/pip" uninstall --quiet --yes image-feature 2>/dev/null >&2 || true
  "$env/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps "$wheel" >&2
  (cd crates/python && "$env/bin/python" -m pytest --quiet "$@")
}

# The wheel: made, looked at, typed, tested as users get it.
step_python() {
  local tools="$CACHE/python/tools/bin"
  build_wheel
  check_wheel_size 15000000
  "$tools/twine" check --strict "$WHEEL_DIR"/*.whl
  need_venv "$CACHE/python/tests" "${PYTHON_TEST_PACKAGES[@]}"
  "$tools/mypy" --config-file crates/python/pyproject.toml --python-executable "$CACHE/python/tests/bin/python" crates/python/python
  test_wheel tests
  # the examples of the documentation
  test_wheel --doctest-modules --pyargs image_feature
}
