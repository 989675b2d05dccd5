"""Arms of the thrombus training at an equal budget: what each context input brings against none.

The arms are the mirrored hemisphere, MNI152 coordinates, the atlas of arteries and veins, and the upstream prior. Every
arm sees the same patches and has the same CPU time. The time of a step is measured first, and the number of steps
follows from it. Simulation, alignment and the prediction of the lesion are not part of the budget.

All arms are measured on the same held-out phantoms with the whole pipeline. The thresholds of each case are those that
have the highest mean Dice over the other cases with at most half a false positive per case. Differences are paired by
patient, with 95 % bootstrap intervals.

Run; rows that exist are not computed again, and an interrupted training is resumed::

    python trainings/thrombus/arms.py train --work DIR --out DIR [--masks MASKS] [--only ARM ...] [--seeds 0 1 2]
        [--cpu-seconds 1800]
    python trainings/thrombus/arms.py table --out DIR

``--work`` is the folder of ``trainings/thrombus/clots.py``, whose heads and prepared patches are used.
"""
