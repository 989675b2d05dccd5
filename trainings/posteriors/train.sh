#!/usr/bin/env bash
# The posteriors of the table of estimators (docs/concepts/uncertainty.md), each from the shipped lesion weights, on the
# phantoms that these last saw. MASKS is a folder of lesion masks in MNI space, here the 1,449 of SOOP (OpenNeuro
# ds004889, CC0). About an hour and a half on 2 cores, and the time in which 612 phantoms are drawn, once for all.
# The members of the ensemble go on from the shipped weights too, the learning rate raised again, on other folds and in
# another order: they differ less than members trained from nothing would, for which there was no time.
set -euo pipefail
MASKS=${1:?folder of lesion masks} OUT=${2:?output folder}
export GOMP_SPINCOUNT=0
posterior() { # name, steps, further options
    mkdir -p "$OUT/$1"
    [ -e "$OUT/$1/cache" ] || ln -s ../cache "$OUT/$1/cache"
    adumbra train --n-phantoms 612 --phantom-seed 31 --lesion-masks "$MASKS" --no-registration --held-out 12 --batch 4 \
        --threads 2 --workers 2 --initial lesion --steps "$2" --out "$OUT/$1" "${@:3}"
}
mkdir -p "$OUT/cache"
posterior laplace 0 --posterior laplace
posterior variational 700 --posterior variational
posterior heteroscedastic 400 --posterior heteroscedastic
posterior stochastic 400 --posterior stochastic-segmentation
posterior everywhere 600 --posterior dropout-everywhere
posterior swag 500 --posterior swag
posterior member1 400 --seed 1 --fold 1
posterior member2 400 --seed 2 --fold 2
