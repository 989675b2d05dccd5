"""The gate for configurations: a prediction, a training, a calibration or a model card, as JSON or TOML."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from adumbra.core import options
from adumbra.core.bounded_json import parsed_json
from adumbra.core.errors import AdumbraError, UnreadableFile
from adumbra.core.legacy import current_names
from adumbra.core.plain_schema import FLAG, OBJECT, TEXT, Choice, Either, Fields, Items, Number, Rule
from adumbra.gate.files import read_file
from adumbra.gate.training_schema import TRAINING
from adumbra.gate.verdict import Verdict, refusal_of
from adumbra.networks.weights_file import CARD

MOST_BYTES = 2**24
_COUNT, _SHARE = Number(1, 1e6, whole=True), Number(0.0, 1.0)
_FILES: Rule = Either((Items(TEXT, 1), TEXT))


def _words(literal: object) -> Choice:
    return Choice(get_args(literal))


PREDICTION = Fields(
    {
        "weights": Either((_FILES,), none=True),
        "posterior": TEXT,
        "draws": Either((Choice(("auto",)), _COUNT)),
        "standard_error": Number(1e-6, 1.0),
        "seed": Number(0, 2**63, whole=True),
        "threshold": Either((Number(1e-9, 1.0),), none=True),
        "high_threshold": Either((_SHARE,), none=True),
        "calibration": TEXT,
        "registration": _words(options.Registration),
        "compute": Fields(
            {
                "window": Either((Number(1, 4096, whole=True),), none=True),
                "overlap": Number(0.0, 0.99),
                "precision": _words(options.Precision),
                "device": _words(options.DeviceName),
                "cache_gb": Number(0.0, 4096.0),
                "dense_draws": FLAG,
                "threads": Either((Number(0, 1024, whole=True),), none=True),
            }
        ),
        "refinement": Either(
            (
                Fields(
                    {
                        "weights": _FILES,
                        "selection": Fields(
                            {
                                "rule": _words(options.WindowSelection),
                                "measure": _words(options.WindowMeasure),
                                "pooling": _words(options.Pooling),
                                "most": Either((Number(0, 1e6, whole=True),), none=True),
                                "share": Number(1e-9, 1.0),
                                "draws": _COUNT,
                                "seed": Number(0, 2**63, whole=True),
                            }
                        ),
                        "weight": _SHARE,
                        "posterior": TEXT,
                    },
                    required=("weights",),
                ),
            ),
            none=True,
        ),
        "second_look": _FILES,
    }
)
"""The fields of ``core.options.InferenceConfig``."""
CALIBRATION = Fields(
    {
        "format": Choice(("adumbra-calibration-1", "adumbra-calibration-2")),
        "target": TEXT,
        "posterior": TEXT,
        "draws": _COUNT,
        "weights": Items(TEXT, 1),
        "probability": Either((OBJECT,), none=True),
        "threshold": Either((OBJECT,), none=True),
        "volume": Either((OBJECT,), none=True),
        "score": Either((OBJECT,), none=True),
        "cases": OBJECT,
        "winkler": OBJECT,
        "features": Items(OBJECT, 0, 100_000),
    },
    required=("format", "target", "posterior", "draws", "weights", "probability", "threshold", "volume", "cases"),
)
"""The parts of ``uncertainty.calibration.io.Calibration``."""
_SIDE_CARD = Fields({**CARD.rules, "sha256": TEXT}, required=("sha256", "architecture", "config"))
_LARGEST_NUMBER = 1e15

SCHEMAS: Mapping[str, tuple[Callable[[Mapping[str, object]], bool], Fields]] = {
    "calibration": (lambda content: "calibration" in str(content.get("format", "")), CALIBRATION),
    "card": (lambda content: "sha256" in content or "architecture" in content, _SIDE_CARD),
    "training": (lambda content: bool(set(content) & (set(TRAINING.rules) - set(PREDICTION.rules))), TRAINING),
    "prediction": (lambda _: True, PREDICTION),
}
"""For each kind of configuration: whether the content is one, and its schema. The first that fits is used."""


def config_verdict(path: Path) -> Verdict:
    """The verdict on a configuration; nothing is built from it."""
    try:
        kind, content = _checked(path)
    except AdumbraError as error:
        return Verdict(str(path), "config", (refusal_of(error),))
    return Verdict(str(path), "config", (), (), {"config": kind, "keys": len(content)})


def _checked(path: Path) -> tuple[str, Mapping[str, object]]:
    expected = "a configuration in JSON or TOML"
    data = read_file(path, most_bytes=MOST_BYTES, expected=expected, do="give a .json or .toml file")
    try:
        content = tomllib.loads(data.decode("utf-8")) if path.suffix.lower() == ".toml" else parsed_json(data)
    except (ValueError, RecursionError) as problem:
        raise _refused(path, f"{len(data):,} bytes that are not that: {problem}", expected) from problem
    if not isinstance(content, dict) or not content:
        raise _refused(
            path, f"a {type(content).__name__} of {len(data):,} bytes without keys", "an object with options"
        )
    kind, schema = next((name, schema) for name, (fits, schema) in SCHEMAS.items() if fits(content))
    checked = current_names("card", content) if kind == "card" else content
    if wrong := schema(checked, "") or (kind == "calibration" and _numbers(content, "")):
        raise _refused(path, str(wrong), f"the options of a {kind}: {len(schema.rules)} known keys")
    return kind, content


def _numbers(value: object, name: str) -> str | None:
    """The first number of a calibration that is beyond any volume, probability or score; None where there is none."""
    if isinstance(value, float | int) and not abs(value) <= _LARGEST_NUMBER:
        return f"{name} = {value:g}, expected a number of at most {_LARGEST_NUMBER:g}"
    items: list[tuple[str, object]] = []
    if isinstance(value, dict):
        items = [(f"{name}.{key}".lstrip("."), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(f"{name}[{n}]", item) for n, item in enumerate(value)]
    return next((wrong for key, item in items if (wrong := _numbers(item, key))), None)


def _refused(path: Path, actual: str, expected: str) -> UnreadableFile:
    return UnreadableFile(path.name, expected=expected, found=actual, do="correct this value, or remove it")
