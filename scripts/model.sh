# shellcheck shell=bash
# Makes the bundled models. Their quality is in the card beside them.

MODELS=www/image-feature/models
MODEL_CARD="$MODELS/README.md"
# Each model: its name, the most bytes of its file, and how it learns.
DEFAULT_MODEL_BYTES=5000000
DEFAULT_MODEL_RECIPE=(--views 6 --epochs 20 --learning-rate 0.05 --scale 12 --classes-per-batch 32)
TINY_MODEL_BYTES=1600000
TINY_MODEL_RECIPE=(--blocks 11 --size 128 --views 4 --epochs 20 --learning-rate 0.05 --classes-per-batch 32)
# Every Nth image of the train lists calibrates the activations.
CALIBRATION_STEP=50

# build_models DATASET...: learns from the train.txt of all of them, beginning with the published weights of EfficientNet-Lite0.
# A stage whose file is there is left out: delete $TARGET_DIR/model to begin anew.
build_models() {
  [ $# -gt 0 ] || fail "which data sets? ./build.sh model DATASET..."
  local dataset program="$TARGET_DIR/release/image-feature" dir="$TARGET_DIR/model"
  for dataset in "$@"; do
    [ -f "$dataset/train.txt" ] || fail "$dataset/train.txt is missing: DATASET is a folder with train.txt, gallery.txt, query.txt and images"
  done
  need_pretrained || fail "the pretrained weights could not be fetched: look at pip's message above"
  build_program
  mkdir -p "$dir"
  build_model default "$DEFAULT_MODEL_BYTES" "${DEFAULT_MODEL_RECIPE[@]}" -- "$@"
  build_model tiny "$TINY_MODEL_BYTES" "${TINY_MODEL_RECIPE[@]}" -- "$@"
  measure_models "$@"
  say "done. Look at what changed: git diff $MODEL_CARD"
}

# build_model NAME BYTES OPTION... -- DATASET...: one model, in 8 bits.
build_model() {
  local name="$1" most="$2" recipe=() images=() size
  shift 2
  while [ "$1" != -- ]; do recipe+=("$1"); shift; done
  shift
  if [ ! -f "$dir/$name-f32.safetensors" ]; then
    say "$name: learning"
    "$program" finetune "$@" --model "$PRETRAINED" --name "image-feature-$name" "${recipe[@]}" --output "$dir/$name-f32.safetensors"
  fi
  if [ ! -f "$dir/$name.safetensors" ]; then
    mapfile -t images < <(calibration_images "$@")
    say "$name: measuring activations on ${#images[@]} images"
    "$program" model convert "$dir/$name-f32.safetensors" --dtype i8 --calibrate "${images[@]}" --output "$dir/$name.safetensors"
  fi
  size=$(wc -c <"$dir/$name.safetensors")
  [ "$size" -le "$most" ] || fail "$name has $size bytes, more than $most: take a smaller network"
  cp "$dir/$name.safetensors" "$MODELS/$name.safetensors"
  say "$MODELS/$name.safetensors: $size bytes"
}

# calibration_images DATASET...: paths of images, spread over the train lists.
calibration_images() {
  local dataset
  for dataset in "$@"; do
    sed -E 's/[[:space:]]+[0-9]+[[:space:]]*$//' "$dataset/train.txt" | awk -v dir="$dataset" -v step="$CALIBRATION_STEP" \
      'NR % step == 1 { print dir "/" $0 }'
  done
}

# measure_models DATASET...: puts a table for each data set into the card. To add a row, give MODEL_PEERS="NAME=MODEL ...".
measure_models() {
  local dataset table="$TARGET_DIR/model/table.md" peers=()
  read -ra peers <<<"${MODEL_PEERS:-}"
  : >"$table"
  for dataset in "$@"; do
    say "measuring on $dataset"
    {
      printf '### %s\n\n' "$(basename "$dataset")"
      bench_retrieval "$dataset" default tiny "default=$TARGET_DIR/model/default-f32.safetensors" \
        "tiny=$TARGET_DIR/model/tiny-f32.safetensors" "EfficientNet-Lite0=$PRETRAINED" "${peers[@]}"
      echo
    } >>"$table"
  done
  put_table "$table" "$MODEL_CARD"
}

# put_table TABLE CARD: replaces what stands between the marks in CARD by TABLE.
put_table() {
  local new="$TARGET_DIR/model/card.md"
  awk -v table="$1" '
    /^<!-- table -->$/ { print; print ""; while ((getline line < table) > 0) print line; inside = 1; next }
    /^<!-- end of table -->$/ { inside = 0; ended = 1 }
    !inside { print }
    END { exit !ended }
  ' "$2" >"$new" || fail "$2 has no marks around a table: <!-- table --> and <!-- end of table -->"
  cp "$new" "$2"
}
