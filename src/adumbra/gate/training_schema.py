"""The options of a training as plain values, with their ranges: what ``training.config.TrainConfig`` may hold.

They are stated here because that module needs torch; a test compares the names of both.
"""

from typing import get_args

from adumbra.core import options
from adumbra.core.plain_schema import TEXT, Choice, Either, Fields, Number
from adumbra.networks.weights_file import NETWORK, SPACING

_SHARE = Number(0.0, 1.0)
_RATE = Number(0.0, 1e6)
_SEED = Number(0, 2**63, whole=True)
_STEPS = Number(0, 1e8, whole=True)
_FEW = Number(0, 10_000, whole=True)


def _words(literal: object) -> Choice:
    return Choice(get_args(literal))


AUGMENTATION = Fields(dict.fromkeys(
    ("mirror", "flip", "contrast", "noise", "smooth", "blocky", "shading", "slab", "missing", "strip"), _SHARE
))  # fmt: skip
DATA = Fields(
    {
        "spacing_mm": SPACING,
        "patch": Number(8, 1024, whole=True),
        "batch": Number(1, 4096, whole=True),
        "held_out": _FEW,
        "fold": _FEW,
        "registration": _words(options.Registration),
        "augmentation": AUGMENTATION,
        "missing_ramp": _SHARE,
        "annotators": _FEW,
        "annotator": _FEW,
    }
)
OPTIMISER = Fields(
    {
        "steps": _STEPS,
        "learning_rate": Number(0.0, 10.0),
        "warmup": _STEPS,
        "weight_decay": Number(0.0, 10.0),
        "clip": _RATE,
        "ema_decay": _SHARE,
        "initial": TEXT,
    }
)
REGULARISER = Fields(
    {
        "weight": _RATE,
        "pretrain_share": _SHARE,
        "blur": Fields({"kind": _words(options.BlurKind), "max_mm": Number(0.0, 100.0)}),
        "schedule": Fields({"steps": Number(1, 100_000, whole=True), "offset": _SHARE, "lowest": Number(-50.0, 0.0)}),
        "diffusion_target": _words(options.DiffusionTarget),
    }
)
LOSS = Fields(
    {
        "hard_voxel_fraction": _SHARE,
        "uncertainty_loss": Choice(("none", "weighted", "smoothed")),
        "regulariser": Either((REGULARISER,), none=True),
        "kind": Choice(("region-balanced", "component-tversky", "component-dice", "dice-cross-entropy")),
        "component_share": _SHARE,
        "tversky_alpha": _SHARE,
    }
)
GUIDANCE = Fields(
    {
        "guide": _words(options.Guide),
        "folds": Number(1, 100, whole=True),
        "steps": _STEPS,
        "draws": Number(1, 10_000, whole=True),
        "seed": _SEED,
    }
)
RUNTIME = Fields(
    {
        "precision": _words(options.Precision),
        "device": _words(options.DeviceName),
        "threads": Number(0, 1024, whole=True),
        "workers": Number(0, 1024, whole=True),
        "first_pass_dir": TEXT,
        "checkpoint_every": Number(1, 1e8, whole=True),
        "validate_every": _STEPS,
    }
)
TRAINING = Fields(
    {
        "network": NETWORK,
        "data": DATA,
        "optimiser": OPTIMISER,
        "loss": LOSS,
        "guidance": GUIDANCE,
        "posterior": TEXT,
        "threshold": _SHARE,
        "seed": _SEED,
        "runtime": RUNTIME,
    }
)
"""The options of a training by part; each may be left out."""
