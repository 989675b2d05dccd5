#!/usr/bin/env bash
# The training of the shipped lesion weights: phantoms only. MASKS is a folder of lesion masks in MNI space, here the 1,449
# of SOOP (OpenNeuro ds004889, CC0); without it the phantom draws every shape itself. Five hours on 2 cores.
#
# It goes on from the weights before (commit 98d7b40: 3,400 steps on an earlier phantom). What was shipped saw the phantom
# of commit 678d3fd in the first stage; after a bright cerebellum had been taken for an infarct, that of 47615f4 in the
# second; after the bright lowest slices of a healthy head had been, the same cases with ends of stacks brightened in the
# third; that of 48e7f1b, which draws such ends, calibrations of the ADC and heads without a lesion, in the fourth; and that
# of 3a0948e, whose sequences come from one body and whose cores have the ADC of real ones, in the fifth. The simulator of
# another commit draws other cases.
set -euo pipefail
MASKS=${1:?folder of lesion masks} OUT=${2:?output folder}
HERE=$(dirname "$0")
export GOMP_SPINCOUNT=0
common=(--lesion-masks "$MASKS" --no-registration --held-out 12 --batch 4 --threads 2 --workers 2 --seed 0)
mkdir -p "$OUT"
git -C "$HERE" show 98d7b40:src/adumbra/networks/weights/lesion.safetensors >"$OUT/initial.safetensors"
stage() { # name, cohort, cases, steps, weights to begin with
    adumbra train --n-phantoms "$3" --phantom-seed "$2" --steps "$4" --initial "$5" --out "$OUT/$1" "${common[@]}"
}
stage first 4 800 6000 "$OUT/initial.safetensors"
stage second 6 300 1600 "$OUT/first/weights.safetensors"
stage third 6 300 1000 "$OUT/second/weights.safetensors"
stage fourth 8 700 6000 "$OUT/third/weights.safetensors"
stage fifth 31 612 3200 "$OUT/fourth/weights.safetensors"
python "$HERE/../finish.py" lesion --masks "$MASKS" --out "$OUT/fifth"
