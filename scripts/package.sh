# shellcheck shell=bash
# The npm package as it is published: www/image-feature with its WebAssembly and types.

PACKAGE_DIR=dist/npm

# bundle_package DIR [PLACE...]: bundles the package's JavaScript: see scripts/bundle.mjs.
bundle_package() {
  node scripts/bundle.mjs "$@" || fail "the package could not be bundled: look at esbuild's message above"
}

# Makes the folder of the package, for `npm pack` and `npm publish`.
build_package() {
  need_node_modules
  build_all_wasm
  say "making the npm package in $PACKAGE_DIR"
  lay_package
}

# lay_package: the same with the WebAssembly that is there.
lay_package() {
  local kind
  rm -rf "$PACKAGE_DIR"
  mkdir -p "$PACKAGE_DIR/wasm"
  bundle_package "$PACKAGE_DIR"
  cp www/image-feature/{package.json,README.md} LICENSE "$PACKAGE_DIR/"
  cp -r www/image-feature/models "$PACKAGE_DIR/"
  for kind in "${ALL_WASM_KINDS[@]}"; do cp -r "www/image-feature/wasm/$kind" "$PACKAGE_DIR/wasm/"; done
  npm run --silent build:types >&2 || fail "the types could not be made: look at tsc's messages above"
  cp -r www/image-feature/types "$PACKAGE_DIR/"
}
