#!/usr/bin/env bash
# The training of the released lesion weights, on simulated patients. MASKS is a folder of lesion masks in MNI space: the
# 1,449 of SOOP (OpenNeuro ds004889, CC0). Without masks the phantom simulates every shape. Five hours on 2 cores.
#
# The initial weights are those of commit 98d7b40: 3,400 steps on an earlier phantom. Each stage used the phantom of its
# commit, because the simulator of another commit simulates other patients:
#   first    678d3fd
#   second   47615f4, after a bright cerebellum had been segmented as an infarct
#   third    the cases of the second with brighter ends of the slice stack, after the bright lowest slices of a healthy
#            head had been segmented
#   fourth   48e7f1b, which simulates such slices, calibrations of the ADC, and heads without a lesion
#   fifth    3a0948e, whose sequences share one anatomy and whose lesion cores have the ADC of real ones
# The last stage is trainings/retrain.py lesion.
set -euo pipefail
MASKS=${1:?folder of lesion masks} OUT=${2:?output folder}
HERE=$(dirname "$0")
export GOMP_SPINCOUNT=0
common=(--lesion-masks "$MASKS" --no-registration --held-out 12 --batch 4 --threads 2 --workers 2 --seed 0)
mkdir -p "$OUT"
git -C "$HERE" show 98d7b40:src/adumbra/networks/weights/lesion.safetensors >"$OUT/initial.safetensors"
stage() { # name, cohort, cases, steps, initial weights
    adumbra train --n-phantoms "$3" --phantom-seed "$2" --steps "$4" --initial "$5" --out "$OUT/$1" "${common[@]}"
}
stage first 4 800 6000 "$OUT/initial.safetensors"
stage second 6 300 1600 "$OUT/first/weights.safetensors"
stage third 6 300 1000 "$OUT/second/weights.safetensors"
stage fourth 8 700 6000 "$OUT/third/weights.safetensors"
stage fifth 31 612 3200 "$OUT/fourth/weights.safetensors"
python "$HERE/../finish.py" lesion --masks "$MASKS" --out "$OUT/fifth"
