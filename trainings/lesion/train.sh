#!/usr/bin/env bash
# The training of the shipped lesion weights: phantoms only. MASKS is a folder of lesion masks in MNI space, here the 1,449
# of SOOP (OpenNeuro ds004889, CC0); without it the phantom draws every shape itself. About an hour and a half on 2 cores.
#
# It goes on from the weights before (commit 98d7b40), which had learnt 3,400 steps from an earlier phantom.
set -euo pipefail
MASKS=${1:?folder of lesion masks} OUT=${2:?output folder}
HERE=$(dirname "$0")
export GOMP_SPINCOUNT=0
mkdir -p "$OUT"
git -C "$HERE" show 98d7b40:src/adumbra/networks/weights/lesion.safetensors >"$OUT/initial.safetensors"
adumbra train --phantom 800 --phantom-seed 4 --lesion-masks "$MASKS" --no-registration --held-out 12 \
    --steps 6000 --batch 4 --threads 2 --workers 2 --seed 0 --initial "$OUT/initial.safetensors" --out "$OUT"
python "$HERE/finish.py" --masks "$MASKS" --out "$OUT"
