"""Names that earlier versions wrote to disk, and what they are called now: one table for each kind of file.

Readers pass what they parsed through ``current_names`` before anything else looks at it. Writers use today's names
only. Values that are names themselves, such as that of a posterior, are translated by ``current_value``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from adumbra.core.types import MODALITIES

FILE_NAMES: Mapping[str, Mapping[str, str]] = {
    "card": {"peak_threshold": "high_threshold"},
    "checkpoint": {
        "average": "ema_decay",
        "before": "pretrain_share",
        "hardest": "hard_voxel_fraction",
        "learns": "diffusion_target",
        "most_mm": "max_mm",
        "softening": "uncertainty_loss",
    },
    "run": {"peak_threshold": "high_threshold", "station": "stage"},
    "features": {"pairwise_dice": "member_dice"},
    "findings": {"called_share": "positive_share", "kept": "stored_draws", "pairwise_dice": "draws_dice"},
    "scene": {"listening": "attention", "shares": "weights"},
    "guidance": {"doubts": "guidance"},
}
"""For each kind of file: the old key, and the key of today."""

VALUES: Mapping[str, Mapping[str, str]] = {
    "posterior": {"augmented": "tta", "logit-noise": "heteroscedastic", "point": "deterministic"},
    "regulariser": {"before": "pretrain"},
}
"""For each kind of value: the old name, and the name of today."""

FILE_PARTS: Mapping[str, str] = {
    "desc-opening_attention": "desc-attentionGate_attention",
    **{f"desc-listened{m.capitalize()}_attention": f"desc-{m}CrossAttention_attention" for m in MODALITIES},
}
"""For the last part of a file name: the old one, and that of today."""

TENSOR_PARTS: Mapping[str, str] = {
    "encoder.apart.": "encoder.single.",
    "encoder.together.": "encoder.joint.",
    "encoder.widened.": "encoder.widen.",
    ".mistrust": ".uncertainty_penalty",
    ".clock.told.": ".time_embedding.layers.",
}
"""For parts of a tensor's name in weights and checkpoints: the old one, and that of today."""

FOLDERS: Mapping[str, str] = {"readings": "predictions"}
"""For folders of a training: the old name, and that of today."""

IDENTITY_PARTS: Mapping[str, tuple[str, ...]] = {
    "data": (
        "spacing_mm", "patch", "batch", "held_out", "fold", "registration", "augmentation", "missing_ramp",
    ),
    "optimiser": ("steps", "learning_rate", "warmup", "weight_decay", "clip", "ema_decay", "initial"),
    "loss": ("hard_voxel_fraction", "uncertainty_loss", "regulariser"),
}  # fmt: skip
"""For the parts of a training's identity: the options that earlier versions stored beside each other."""

LATER_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "network": {"mirrored": False, "context": ()},
    "data": {"annotators": 0, "annotator": 0},
    "loss": {"kind": "region-balanced", "component_share": 0.5, "tversky_alpha": 0.3},
}
"""For the parts of a training's identity: options that version 0.1.0 did not have, with the value that it used."""

COMMANDS: Mapping[str, str] = {"quality": "evaluate-uncertainty"}
OPTIONS: Mapping[str, str] = {
    "--denoising": "--diffusion-target",
    "--first": "--first-pass-dir",
    "--first-steps": "--first-pass-steps",
    "--peak-threshold": "--high-threshold",
    "--phantom": "--n-phantoms",
    "--softening": "--uncertainty-loss",
    "--weight": "--regulariser-weight",
}
"""Old names of the command line, which it no longer accepts, and the names of today that its errors suggest."""


def current_names(kind: str, content: object) -> object:
    """Parsed content with its keys as they are called today, at every depth.

    Args:
        kind: A key of ``FILE_NAMES``.
        content: Plain values, as ``json.loads`` gives them.

    Returns:
        The same values under today's keys; content that already has them is returned equal.
    """
    table = FILE_NAMES[kind]
    if isinstance(content, Mapping):
        return {table.get(key, key): current_names(kind, value) for key, value in content.items()}
    return [current_names(kind, item) for item in content] if isinstance(content, list) else content


def current_value(kind: str, value: str) -> str:
    """A stored name as it is called today; ``kind`` is a key of ``VALUES``."""
    return VALUES[kind].get(value, value)


def stored_name(kind: str, name: str, keys: Iterable[str]) -> str:
    """The key under which a file stores what is called ``name`` today; ``name`` itself where it has no older key."""
    return next((key for key in keys if FILE_NAMES[kind].get(key) == name), name)


def current_folder(parent: Path, name: str) -> Path:
    """The folder of this name, or an existing one that an earlier version gave another name."""
    earlier = [parent / old for old, today in FOLDERS.items() if today == name and (parent / old).is_dir()]
    return earlier[0] if earlier and not (parent / name).is_dir() else parent / name


def checkpoint_identity(identity: Mapping[str, object]) -> dict[str, object]:
    """The identity of a training in the nested form of ``TrainConfig.identity``.

    Args:
        identity: From a checkpoint or a model card. Earlier versions stored all options beside each other, and the
            description of the cases as ``data``.

    Returns:
        The same options in the parts of today; an identity of today is returned equal. Options that were not stored
        are missing in the result.
    """
    options = {FILE_NAMES["checkpoint"].get(key, key): value for key, value in identity.items()}
    if any(isinstance(options.get(part), Mapping) for part in IDENTITY_PARTS):
        return options
    if "data" in options:
        options["cases"] = options.pop("data")
    if "posterior" in options:
        options["posterior"] = current_value("posterior", str(options["posterior"]))
    if options.get("regulariser"):
        options["regulariser"] = current_names("checkpoint", options["regulariser"])
    for part, names in IDENTITY_PARTS.items():
        if stored := {name: options.pop(name) for name in names if name in options}:
            options[part] = stored
    cross_fit = options.pop("cross", {})
    if "guide" in options or cross_fit:
        guide = {"guide": options.pop("guide")} if "guide" in options else {}
        options["guidance"] = guide | dict(cross_fit if isinstance(cross_fit, Mapping) else {})
    return options


def without_later_defaults(identity: Mapping[str, object]) -> dict[str, object]:
    """The identity of a training without the options of ``LATER_OPTIONS`` that have the value of version 0.1.0."""
    return {
        name: {key: own for key, own in part.items() if key not in defaults or own != defaults[key]}
        if (defaults := LATER_OPTIONS.get(name)) and isinstance(part, Mapping)
        else part
        for name, part in identity.items()
    }


def with_later_defaults(identity: Mapping[str, object]) -> dict[str, object]:
    """The identity of a training with the options that ``without_later_defaults`` left out."""
    return {
        name: {**LATER_OPTIONS.get(name, {}), **part} if isinstance(part, Mapping) else part
        for name, part in identity.items()
    }


def earlier_part(part: str) -> str:
    """The last part of a file name as earlier versions wrote it; the same part if it was never renamed."""
    return {today: old for old, today in FILE_PARTS.items()}.get(part, part)


def current_tensor_name(name: str) -> str:
    """The name of a tensor of weights or of a checkpoint as it is called today."""
    for old, today in TENSOR_PARTS.items():
        name = name.replace(old, today)
    return name
