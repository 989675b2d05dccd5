#!/usr/bin/env bash
# The training of the shipped lesion weights: phantoms only. MASKS is a folder of lesion masks in MNI space, here the 1,449
# of SOOP (OpenNeuro ds004889, CC0); without it the phantom draws every shape itself. About an hour on 2 cores.
set -euo pipefail
MASKS=${1:?folder of lesion masks} OUT=${2:?output folder}
export GOMP_SPINCOUNT=0
adumbra train --phantom 520 --phantom-seed 1 --lesion-masks "$MASKS" --no-registration --held-out 12 \
    --steps 3400 --batch 4 --threads 2 --workers 2 --seed 0 --out "$OUT"
python "$(dirname "$0")/finish.py" --masks "$MASKS" --out "$OUT"
