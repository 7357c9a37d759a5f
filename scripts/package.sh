# shellcheck shell=bash
# The npm package: www/image-feature with its wasm and types, as it is published.

PACKAGE_DIR=dist/npm

# Makes the package's folder; `npm pack` and `npm publish` work there.
build_package() {
  need_node_modules
  build_wasm cpu
  build_wasm gpu
  say "making the npm package in $PACKAGE_DIR"
  rm -rf "$PACKAGE_DIR"
  mkdir -p "$PACKAGE_DIR/wasm"
  cp www/image-feature/*.js www/image-feature/package.json LICENSE "$PACKAGE_DIR/"
  cp www/image-feature/README.md "$PACKAGE_DIR/" 2>/dev/null || cp README.md "$PACKAGE_DIR/"
  cp -r www/image-feature/wasm/cpu www/image-feature/wasm/gpu "$PACKAGE_DIR/wasm/"
  npm run --silent build:types >&2 || fail "the types could not be made: look at tsc's messages above"
  cp -r www/image-feature/types "$PACKAGE_DIR/"
}
