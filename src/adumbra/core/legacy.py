"""Names that earlier versions wrote to disk, and what they are called now: one table for each kind of file.

Readers pass what they parsed through ``current_names`` before anything else looks at it. Writers use today's names
only. Values that are names themselves, such as that of a posterior, are translated by ``current_value``.
"""

from collections.abc import Mapping

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
    "run": {"peak_threshold": "high_threshold"},
    "findings": {"called_share": "positive_share"},
    "scene": {"listening": "attention", "shares": "weights"},
    "guidance": {"doubts": "guidance"},
}
"""For each kind of file: the old key, and the key of today."""

VALUES: Mapping[str, Mapping[str, str]] = {
    "posterior": {"augmented": "tta", "logit-noise": "heteroscedastic", "point": "deterministic"},
}
"""For each kind of value: the old name, and the name of today."""


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
