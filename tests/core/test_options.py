"""The settings of a prediction refuse values without a meaning."""

import subprocess
import sys

import pytest

from adumbra.core.errors import InputRejected
from adumbra.core.options import ComputeConfig, InferenceConfig

WRONG = [
    ("draws", 0), ("draws", -1), ("draws", True),
    ("threshold", 2), ("threshold", 0.0), ("threshold", float("nan")), ("high_threshold", -0.1), ("seed", -1),
    ("standard_error", 0.0), ("standard_error", float("nan")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_setting_without_a_meaning_is_refused_by_its_name(name, value):
    with pytest.raises(InputRejected) as raised:
        InferenceConfig(**{name: value})
    assert raised.value.where == name
    assert raised.value.found == repr(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("window", 0), ("overlap", 1.0), ("overlap", -0.1), ("cache_gb", -1.0), ("threads", -1)],
)
def test_so_is_one_of_the_computation(name, value):
    with pytest.raises(InputRejected, match=name):
        ComputeConfig(**{name: value})


@pytest.mark.parametrize(
    "setting",
    ["InferenceConfig(registration='maybe')", "InferenceConfig(draws='all')", "InferenceConfig(draws=2.5)",
     "ComputeConfig(device='tpu')", "ComputeConfig(precision='f16')"],
)  # fmt: skip
def test_types_are_checked_where_no_test_checks_them(setting):
    # The tests check every annotation at every call, so that a wrong type needs a process without that check.
    code = f"from adumbra.core.options import ComputeConfig, InferenceConfig\n{setting}"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 1
    assert "adumbra.core.errors.InputRejected" in process.stderr


def test_what_the_command_line_can_give_is_accepted():
    InferenceConfig(draws="auto", threshold=0.999, high_threshold=0.0, registration="never", seed=0)
    InferenceConfig(compute=ComputeConfig(window=48, overlap=0.0, threads=1, precision="bf16", device="cuda"))
