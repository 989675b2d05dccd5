"""Arms of the lesion training at an equal budget: simulators, losses, input channels and networks.

Every arm starts from random weights, or from the same initial weights, and has the same budget, either CPU time or
steps. The arms share the seeds of their patients, the number of patients and all other options of the training. With a
budget of CPU time, the time of a step is measured first and the number of steps follows from it, so that the learning
rate ends at zero. The simulation of the patients is not part of the budget.

All arms are measured on the same held-out phantoms with the whole pipeline: files, brain mask, network, mask on the
grid of the scan. The measures are those of ``adumbra evaluate``. Differences from the baseline are paired by patient,
with 95 % bootstrap intervals by patient. Other trainings may add rows, such as ``benchmarks/nnunet.py``.

Run; rows that exist are not computed again, and an interrupted training is resumed::

    python trainings/arms/run.py train --out DIR [--masks MASKS] [--only ARM ...] [--cpu-seconds 600 | --steps N]
        [--initial WEIGHTS]
    python trainings/arms/run.py table

The rows are kept in ``docs/results/lesion-arms.jsonl``, one line for each arm and seed. Simulated patients are not
patients.
"""
