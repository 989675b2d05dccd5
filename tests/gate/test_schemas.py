"""The schemas of the gate name what the dataclasses hold, so that an option that is added is added here too."""

from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

import pytest

from adumbra.core.options import InferenceConfig, InputKind
from adumbra.core.plain_schema import FLAG, Choice, Either, Fields, Items, Number
from adumbra.gate.configs import CALIBRATION, PREDICTION
from adumbra.gate.registry import CHECKS, kind_of
from adumbra.gate.training_schema import TRAINING
from adumbra.networks.registry import ARCHITECTURES
from adumbra.networks.weights import Card
from adumbra.networks.weights_file import CARD, NETWORK
from adumbra.training.config import TrainConfig
from adumbra.uncertainty.calibration.io import Calibration


def dataclasses_in(kind):
    return [part for part in (kind, *get_args(kind)) if is_dataclass(part)]


def require_same_names(schema, kind, where=""):
    assert set(schema.rules) == {f.name for f in fields(kind)}, where
    for name, hint in get_type_hints(kind).items():
        rule = schema.rules[name]
        parts = rule.rules if isinstance(rule, Either) else (rule,)
        for inner in dataclasses_in(hint):
            nested = [part for part in parts if isinstance(part, Fields)]
            if nested and not nested[0].open:
                require_same_names(nested[0], inner, f"{where}.{name}")


@pytest.mark.parametrize(("schema", "kind"), [(PREDICTION, InferenceConfig), (TRAINING, TrainConfig)])
def test_a_configuration_has_the_names_of_its_dataclass(schema, kind):
    require_same_names(schema, kind)


def test_a_card_has_the_names_of_its_dataclass():
    assert set(CARD.rules) - {"format"} == {f.name for f in fields(Card)} - {"name", "sha256"}
    assert set(CALIBRATION.rules) - {"format"} == {f.name for f in fields(Calibration)}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_defaults_of_every_architecture_keep_the_schema(name):
    config = ARCHITECTURES[name].config()
    assert set(config.as_json()) <= set(NETWORK.rules)
    assert NETWORK(config.as_json(), "config") is None


def test_every_kind_has_a_check():
    assert {*CHECKS, "pair"} == set(get_args(InputKind))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a_dwi.nii.gz", "image"), ("a_msk.nii", "mask"), ("a.mha", "image"), ("c.csv", "manifest"), ("c.json", "config"),
     ("split.json", "split"), ("splits_final.json", "split"), ("w.safetensors", "weights"), ("w.pt", "weights"),
     ("a.zip", "archive"), ("a.tar.gz", "archive"), ("c.toml", "config")],
)  # fmt: skip
def test_a_name_shows_its_kind(tmp_path, name, kind):
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize(
    ("rule", "value", "wrong"),
    [
        (Number(0, 1), 0.5, None),
        (Number(0, 1), 2, "x = 2, expected a number from 0 to 1"),
        (Number(0, 1), float("nan"), "x = nan, expected a number from 0 to 1"),
        (Number(1, 9, whole=True), 2.0, "x = 2.0, expected a whole number from 1 to 9"),
        (Number(0, 1), True, "x = True, expected a number from 0 to 1"),
        (Choice(("a", "b")), "b", None),
        (Choice(("a", "b")), ["a"], "x = a list of 1, expected a or b"),
        (FLAG, 1, "x = 1, expected true or false"),
        (Items(Number(0, 9), 1), [], "x = a list of 0 of 0 items, expected a list of 1 to 64 items"),
        (Items(Number(0, 9), 1), [1, 10], "x[1] = 10, expected a number from 0 to 9"),
        (Either((Number(0, 9),), none=True), None, None),
        (Either((Number(0, 9),), none=True), "a", "x = 'a', expected a number from 0 to 9 or null"),
        (Fields({"size": Number(0, 9)}), {"sise": 1}, "the unknown key x.'sise' (similar to size)"),
        (Fields({"size": Number(0, 9)}, required=("size",)), {}, "1 missing key: x.size"),
        (Fields({"size": Number(0, 9)}), 3, "x = 3, expected an object"),
    ],
)
def test_a_rule_says_what_is_wrong(rule, value, wrong):
    assert rule(value, "x") == wrong
