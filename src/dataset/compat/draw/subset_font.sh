#!/bin/sh
# Makes noto-sans-sc-subset.otf from NotoSansCJK-Regular.ttc (Debian's fonts-noto-cjk), with fonttools.
# usage: subset_font.sh NotoSansCJK-Regular.ttc
set -eu
pyftsubset "$1" --font-number=2 --unicodes=U+0020-007E,U+00A0-00FF --text="集合数量不同的图片和类别" \
    --no-hinting --layout-features='' --drop-tables+=GSUB,GPOS,GDEF,BASE,VORG,vhea,vmtx,DSIG \
    --name-IDs='0,1,2,13,14' --notdef-outline --output-file="$(dirname "$0")/noto-sans-sc-subset.otf"
