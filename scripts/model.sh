# shellcheck shell=bash
# The model in the box: how it is made. What it is worth is in docs/model-card.md.

BUNDLED_MODEL=www/image-feature/models/default.safetensors
BUNDLED_MODEL_NAME=image-feature-grocery
BUNDLED_MODEL_MOST_BYTES=4000000
# The recipe: the one place where it stands.
BUNDLED_MODEL_RECIPE=(--width 0.5 --size 112 --epochs 60 --batch-size 64 --eval-interval 5 --save-interval 5 --seed 0)

# build_model DATASET [RUN]: trains on DATASET's train.txt, or takes the best of RUN, which was trained before. Then: the
# activations are measured on the images of train.txt, the weights written in 8 bits, and put where the program and the
# package have them from.
build_model() {
  [ $# = 1 ] || [ $# = 2 ] || fail "which data set? ./build.sh model DATASET [RUN]"
  local dataset="$1" run="${2:-$TARGET_DIR/model/run}" program="$TARGET_DIR/release/image-feature" size path
  local new="$TARGET_DIR/model/default.safetensors" images=()
  [ -f "$dataset/train.txt" ] || fail "$dataset/train.txt is missing: DATASET is a folder with train.txt, gallery.txt, query.txt and images"
  build_program
  mkdir -p "$TARGET_DIR/model"
  if [ $# = 1 ]; then
    say "training in $run"
    rm -rf "$run"
    "$program" train "$dataset" --output "$run" "${BUNDLED_MODEL_RECIPE[@]}"
  fi
  while read -r path; do images+=("$dataset/$path"); done < <(sed -E 's/[[:space:]]+[0-9]+[[:space:]]*$//' "$dataset/train.txt")
  say "measuring activations on ${#images[@]} images of $dataset/train.txt"
  "$program" model convert "$run" --name "$BUNDLED_MODEL_NAME" --dtype i8 --calibrate "${images[@]}" --output "$new" --force
  size=$(wc -c < "$new")
  [ "$size" -le "$BUNDLED_MODEL_MOST_BYTES" ] || fail "$new has $size bytes, more than $BUNDLED_MODEL_MOST_BYTES: train a smaller network"
  mkdir -p "$(dirname "$BUNDLED_MODEL")"
  cp "$new" "$BUNDLED_MODEL"
  say "$BUNDLED_MODEL: $size bytes. Its figures, for docs/model-card.md:"
  say "  ./build.sh bench retrieval $dataset $run default"
}
