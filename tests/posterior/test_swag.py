import numpy as np
import pytest
import torch

from adumbra.inference.protocols import Window
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.posterior.swag import SwagMoments


def moments_of(snapshots, rank=20):
    moments = SwagMoments(rank)
    for value in snapshots:
        moments.add({"w": torch.as_tensor(value, dtype=torch.float32)})
    return moments


def test_moments_are_those_of_the_snapshots():
    rng = np.random.default_rng(0)
    values = 100.0 + rng.standard_normal((40, 3))
    moments = moments_of(values)
    assert moments.mean["w"].numpy() == pytest.approx(values.mean(axis=0), rel=1e-6)
    assert moments.fit().variance["w"].numpy() == pytest.approx(values.var(axis=0), rel=1e-3)


def test_only_the_last_deviations_are_stored():
    swag = moments_of(np.arange(10.0)[:, None], rank=3).fit()
    assert swag.rank == 3
    assert swag.deviations["w"].flatten().tolist() == [3.5, 4.0, 4.5]  # each from the running mean: 7 - 3.5, ...


def test_one_snapshot_has_no_spread():
    with pytest.raises(ValueError, match="at least 2"):
        moments_of([[1.0]]).fit()


class OneWeight(UNet):
    """A network whose output is one of its parameters."""

    def __init__(self):
        super().__init__(UNetConfig(widths=(2, 2)))
        self.w = torch.nn.Parameter(torch.zeros(2))

    def forward(self, *_, **__):
        return self.w.clone()


def test_draws_have_the_covariance_of_the_paper():
    """Half the diagonal, half the low-rank part: Σ / 2 + D Dᵀ / (2 (K - 1))."""
    rng = np.random.default_rng(1)
    swag = moments_of(rng.standard_normal((30, 2)) @ [[1.0, 0.8], [0.0, 0.3]], rank=5).fit()
    network = OneWeight()
    generator = np.random.default_rng(2)
    window = Window((), torch.ones(1, 4), (slice(1), slice(1), slice(1)))
    draws = np.stack([swag.sample(network, generator, (1, 1, 1))(network, window).detach() for _ in range(20000)])
    deviations = swag.deviations["w"].numpy()
    expected = 0.5 * np.diag(swag.variance["w"].numpy()) + 0.5 * deviations.T @ deviations / 4
    assert np.cov(draws.T) == pytest.approx(expected, abs=0.03)
