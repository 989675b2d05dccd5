#!/usr/bin/env bash
# The posteriors of docs/results/estimators.md. Each is fine-tuned from the released lesion weights, on the simulated
# patients of their fifth stage. MASKS is a folder of lesion masks in MNI space: the 1,449 of SOOP (OpenNeuro ds004889,
# CC0). It takes an hour and a half on 2 cores, and the time to simulate 612 patients, once for all posteriors.
# The members of the ensemble are fine-tuned from the released weights too, with the initial learning rate, on other folds
# and in another order. They differ less than members trained from scratch would, which the budget did not allow.
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
