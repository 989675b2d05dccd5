"""Susceptibility of iron in the deep nuclei and the cortex, by age."""

from collections.abc import Callable

import numpy as np
import pytest

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.physics.iron import sample_iron_ppm
from adumbra.phantom.physics.susceptibility import CHI_PPM


def mean_iron(template_head: Head, nuclei: dict[str, Volume]) -> Callable[[str], float]:
    iron = np.mean([sample_iron_ppm(np.random.default_rng(s), template_head, nuclei) for s in range(12)], axis=0)
    return lambda name: float(iron[nuclei[name] > 0.98].mean())


def test_iron_is_that_of_the_table_in_middle_age(template_head: Head, nuclei: dict[str, Volume]) -> None:
    mean = mean_iron(template_head, nuclei)
    for name in ("pallidum", "putamen", "thalamus", "red_nucleus"):
        assert mean(name) == pytest.approx(CHI_PPM[name], rel=0.15)
    iron = sample_iron_ppm(np.random.default_rng(0), template_head, nuclei)
    assert iron.min() >= 0
    cortex = (template_head.grey > 0.98) & (sum(nuclei.values()) == 0)
    assert iron[cortex].mean() == pytest.approx(CHI_PPM["grey"], rel=0.3)
    assert iron[(template_head.white > 0.99) & (sum(nuclei.values()) == 0)].max() < 0.001


def test_iron_increases_with_age_in_the_putamen_and_not_in_the_thalamus(
    heads_by_age: dict[float, Head], nuclei: dict[str, Volume]
) -> None:
    young, old = (mean_iron(heads_by_age[age], nuclei) for age in (0.0, 1.0))
    assert old("putamen") > 1.6 * young("putamen")
    assert old("pallidum") > 1.1 * young("pallidum")
    assert old("thalamus") < young("thalamus")


def test_same_seed_same_iron_other_seed_other_iron(template_head: Head, nuclei: dict[str, Volume]) -> None:
    one, again, other = (sample_iron_ppm(np.random.default_rng(s), template_head, nuclei) for s in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()
