"""Ablation of fusion, guidance and regularisation at an equal training budget.

Every arm is fine-tuned from the released U-Net of its target, on simulated patients that were not used to train it. All
arms share the cases, the patches, the number of steps and the seeds. Parts that an arm adds to the U-Net are untrained
at first: attention at the skip connections, the decoder of the regulariser, and most of the cross-modal network and of
the mask diffusion model. The budget is too small for the last two. The first-pass networks are fine-tuned from the
released U-Net too, each on other folds. With ``from_scratch`` every arm starts from random weights and has half as many
channels; this takes more steps, and arms can differ more.

The last ``held_out`` cases are measured and not trained on. For the thrombus, cases without a clot are left out until
they are at most a quarter of the cohort. Each held-out case is measured at the threshold with the highest mean Dice of
the other held-out cases. The Dice at the threshold that is best for all cases is reported beside it; it favours every
arm alike and varies less.

The table has means over cases and seeds, and differences from early concatenation that are paired by patient, with
95 % bootstrap intervals by patient. Simulated patients are not patients.

Run, first for each target; rows that exist are not computed again::

    python -m adumbra.experiments.fusion_ablation train --target lesion --out DIR [--masks MASKS] [--only ARM ...]
    python -m adumbra.experiments.fusion_ablation table

The rows are kept in ``docs/results/fusion-ablation``: one file for each arm and seed, with the voxel counts of every
held-out case.
"""
