# shellcheck shell=bash
# Makes the bundled model. Its quality is in the card beside it.

BUNDLED_MODEL=www/image-feature/models/default.safetensors
BUNDLED_MODEL_CARD=www/image-feature/models/README.md
BUNDLED_MODEL_NAME=image-feature-grocery
BUNDLED_MODEL_MOST_BYTES=4000000
# The recipe, which stands here alone. Each stage begins with the weights of the one before: small images first, which
# take a third of the time; large batches last, for which a GPU is good (MODEL_DEVICE=webgpu or cuda).
BUNDLED_MODEL_RECIPE=(--width 0.5 --augmentation crops --arc-margin 0 --arc-scale 16 --save-interval 1000 --eval-interval 10 --seed 0)
BUNDLED_MODEL_STAGES=(
  "--size 64 --batch-size 32 --epochs 53 --learning-rate 0.05 --warmup 2 --weight-decay 3e-4"
  "--size 112 --batch-size 32 --epochs 56 --learning-rate 0.04 --warmup 1 --weight-decay 5e-4"
  "--size 112 --batch-size 32 --epochs 90 --learning-rate 0.04 --warmup 1 --weight-decay 5e-4"
  "--size 112 --batch-size 256 --epochs 110 --learning-rate 0.15 --warmup 4 --weight-decay 5e-4"
)

# build_model DATASET [RUN]: trains on DATASET's train.txt, or takes the weights of RUN, an earlier run. Then it measures the
# activations on the images of train.txt, writes the weights in 8 bits, and puts the file where the library and the package
# take it from.
build_model() {
  [ $# = 1 ] || [ $# = 2 ] || fail "which data set? ./build.sh model DATASET [RUN]"
  local dataset="$1" run="${2:-}" program="$TARGET_DIR/release/image-feature" size path stage before=() options
  local new="$TARGET_DIR/model/default.safetensors" images=()
  [ -f "$dataset/train.txt" ] || fail "$dataset/train.txt is missing: DATASET is a folder with train.txt, gallery.txt, query.txt and images"
  build_program
  mkdir -p "$TARGET_DIR/model"
  if [ $# = 1 ]; then
    for stage in "${!BUNDLED_MODEL_STAGES[@]}"; do
      run="$TARGET_DIR/model/stage-$stage"
      read -ra options <<< "${BUNDLED_MODEL_STAGES[$stage]}"
      say "training in $run"
      rm -rf "$run"
      "$program" train "$dataset" --output "$run" --device "${MODEL_DEVICE:-cpu}" "${BUNDLED_MODEL_RECIPE[@]}" "${options[@]}" "${before[@]}"
      before=(--pretrained "$run/latest/latest.pdparams")
    done
  fi
  # not the best epoch: that is chosen on the lists that the card is measured on
  [ ! -d "$run/latest" ] || run="$run/latest"
  while read -r path; do images+=("$dataset/$path"); done < <(sed -E 's/[[:space:]]+[0-9]+[[:space:]]*$//' "$dataset/train.txt")
  say "measuring activations on ${#images[@]} images of $dataset/train.txt"
  "$program" model convert "$run" --name "$BUNDLED_MODEL_NAME" --dtype i8 --calibrate "${images[@]}" --output "$new" --force
  size=$(wc -c < "$new")
  [ "$size" -le "$BUNDLED_MODEL_MOST_BYTES" ] || fail "$new has $size bytes, more than $BUNDLED_MODEL_MOST_BYTES: train a smaller network"
  mkdir -p "$(dirname "$BUNDLED_MODEL")"
  cp "$new" "$BUNDLED_MODEL"
  say "$BUNDLED_MODEL: $size bytes; its figures are measured for $BUNDLED_MODEL_CARD"
  bench_retrieval "$dataset" "as trained=$run" default > "$TARGET_DIR/model/table.md"
  put_table "$TARGET_DIR/model/table.md" "$BUNDLED_MODEL_CARD"
  say "done. Look at what changed: git diff $BUNDLED_MODEL_CARD"
}

# put_table TABLE CARD: replaces what stands between the marks in CARD by TABLE.
put_table() {
  local new="$TARGET_DIR/model/card.md"
  awk -v table="$1" '
    /^<!-- table -->$/ { print; print ""; while ((getline line < table) > 0) print line; print ""; inside = 1; next }
    /^<!-- end of table -->$/ { inside = 0; ended = 1 }
    !inside { print }
    END { exit !ended }
  ' "$2" > "$new" || fail "$2 has no marks around a table: <!-- table --> and <!-- end of table -->"
  cp "$new" "$2"
}
