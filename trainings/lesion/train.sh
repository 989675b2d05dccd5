#!/usr/bin/env bash
# The training of the shipped lesion weights: phantoms only. MASKS is a folder of lesion masks in MNI space, here the 1,449
# of SOOP (OpenNeuro ds004889, CC0); without it the phantom draws every shape itself. Two hours on 2 cores.
#
# It goes on from the weights before (commit 98d7b40: 3,400 steps on an earlier phantom). What was shipped saw the phantom
# of commit 678d3fd in the long stage and, after a bright cerebellum had been taken for an infarct, that of 47615f4 in the
# short one; the simulator of another commit draws other cases.
set -euo pipefail
MASKS=${1:?folder of lesion masks} OUT=${2:?output folder}
HERE=$(dirname "$0")
export GOMP_SPINCOUNT=0
common=(--lesion-masks "$MASKS" --no-registration --held-out 12 --batch 4 --threads 2 --workers 2 --seed 0)
mkdir -p "$OUT"
git -C "$HERE" show 98d7b40:src/adumbra/networks/weights/lesion.safetensors >"$OUT/initial.safetensors"
adumbra train --phantom 800 --phantom-seed 4 --steps 6000 --initial "$OUT/initial.safetensors" --out "$OUT/long" "${common[@]}"
adumbra train --phantom 300 --phantom-seed 6 --steps 1600 --initial "$OUT/long/weights.safetensors" --out "$OUT/short" "${common[@]}"
python "$HERE/finish.py" --masks "$MASKS" --out "$OUT/short"
