"""Last-layer Laplace: a Gaussian around the trained weights of the head, with the curvature of the loss there.

MacKay, Neural Computation 4, 1992; Daxberger et al., NeurIPS 2021. With φ the features that the head reads (a 1 last,
for the bias), p the probability and λ the prior precision, each target has

    q(w) = N(ŵ, (H + λ I)⁻¹),        H = Σ_voxels p (1 - p) φ φᵀ

The logits of different targets share no weight, so that this form is block-diagonal and *full* within each block.
*Kronecker* is the mean of φ φᵀ times the sum of p (1 - p); *diagonal* keeps the diagonal alone. λ maximises the
evidence. Neighbouring voxels are not independent: each voxel counts ``weight`` times, so that together they carry as
much as the independent ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from adumbra.core.references import cites
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork
from adumbra.posterior.weightspace import parameters_from, require_fitted, with_weights

NAME = "laplace"
Form = Literal["full", "kronecker", "diagonal"]
_BOUNDS = (1e-6, 1e8)  # Of the prior precision.


@cites("MacKay1992", "Daxberger2021")
@dataclass(frozen=True, eq=False)
class LastLayerLaplace:
    """A Gaussian of the head's weights; its mean is the network's weights.

    Attributes:
        root: (T, D, D), lower triangular: the covariance of target t is ``root[t] @ root[t].T``; the bias is the last
            of the D dimensions.
        form: Form of the curvature.
        prior_precision: λ of each target.
        weight: Number of independent voxels that one voxel counts as.
    """

    root: Tensor
    form: Form = "full"
    prior_precision: tuple[float, ...] = ()
    weight: float = 1.0

    @classmethod
    def of(cls, trained: TrainedNetwork) -> "LastLayerLaplace":
        """The Gaussian that was fitted to the weights.

        Raises:
            WeightsRejected: None was.
        """
        require_fitted(trained, NAME)
        settings: Mapping[str, Any] = trained.card.posterior
        return cls(trained.fitted["root"], settings["form"], tuple(settings["prior_precision"]), settings["weight"])

    @property
    def state(self) -> Mapping[str, object]:
        """Form and prior."""
        prior = list(self.prior_precision)
        return {"approximation": NAME, "form": self.form, "prior_precision": prior, "weight": self.weight}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The head: everything before it is computed once."""
        return "head"

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One head."""
        own = parameters_from(network, "head")
        weight, bias = own["decoder.head.weight"], own["decoder.head.bias"]
        z = torch.from_numpy(generator.standard_normal(tuple(self.root.shape[:2])).astype(np.float32))
        offset = torch.einsum("tij,tj->ti", self.root, z).to(weight)
        weights = {
            "decoder.head.weight": weight + offset[:, :-1].reshape(weight.shape),
            "decoder.head.bias": bias + offset[:, -1],
        }
        return with_weights(weights, "head")


@dataclass
class Curvature:
    """Sums over voxels from which every form follows.

    Attributes:
        full: (T, D, D), Σ p (1 - p) φ φᵀ.
        features: (D, D), Σ φ φᵀ.
        second_derivatives: (T,), Σ p (1 - p).
        voxels: Number of voxels.
    """

    full: np.ndarray
    features: np.ndarray
    second_derivatives: np.ndarray
    voxels: float = 0.0

    @classmethod
    def empty(cls, targets: int, features: int) -> "Curvature":
        """The sums over no voxel; ``features`` counts the bias."""
        return cls(np.zeros((targets, features, features)), np.zeros((features, features)), np.zeros(targets))

    def add(self, features: np.ndarray, second_derivatives: np.ndarray) -> None:
        """Adds voxels.

        Args:
            features: (N, D), the 1 of the bias last.
            second_derivatives: (T, N), of each voxel's loss with respect to its logit: p (1 - p) for a probability,
                1 / σ² for a measurement with noise σ.
        """
        phi = features.astype(np.float64)
        for target, weights in enumerate(second_derivatives.astype(np.float64)):
            self.full[target] += (phi * weights[:, None]).T @ phi
        self.features += phi.T @ phi
        self.second_derivatives += second_derivatives.sum(axis=1, dtype=np.float64)
        self.voxels += len(phi)

    def of(self, form: Form) -> np.ndarray:
        """The curvature in a form, (T, D, D)."""
        if form == "kronecker":
            return self.second_derivatives[:, None, None] * self.features[None] / max(1.0, self.voxels)
        diagonal = np.eye(self.features.shape[0])[None]
        return self.full * diagonal if form == "diagonal" else self.full


def fit_laplace(
    curvature: Curvature,
    mean: np.ndarray,
    *,
    form: Form = "full",
    weight: float = 1.0,
    prior_precision: float | None = None,
) -> LastLayerLaplace:
    """The Gaussian around trained weights.

    Args:
        curvature: Sums over the training's voxels.
        mean: (T, D), the trained weights, the bias last.
        form: Form of the curvature.
        weight: Number of independent voxels that one voxel counts as.
        prior_precision: λ; None takes for each target the value that maximises the evidence.

    Raises:
        ValueError: The curvature holds no voxel.
    """
    if curvature.voxels == 0:
        raise ValueError("curvature: expected voxels, found none")
    hessians = weight * curvature.of(form)
    given = [prior_precision] * len(mean)
    priors = [
        evidence_precision(hessian, own) if prior is None else prior
        for hessian, own, prior in zip(hessians, mean, given, strict=True)
    ]
    identity = np.eye(mean.shape[1])
    roots = [np.linalg.cholesky(np.linalg.inv(h + prior * identity)) for h, prior in zip(hessians, priors, strict=True)]
    return LastLayerLaplace(torch.from_numpy(np.stack(roots).astype(np.float32)), form, tuple(priors), weight)


def evidence_precision(hessian: np.ndarray, mean: np.ndarray) -> float:
    """The prior precision λ that maximises the evidence, D/2 log λ - λ |ŵ|² / 2 - 1/2 log det(H + λ I).

    The search is bounded to 1e-6 to 1e8, since weights of zero have no finite optimum. At the maximum MacKay's fixed
    point holds, λ |ŵ|² = Σ hᵢ / (hᵢ + λ).
    """
    eigenvalues = np.clip(np.linalg.eigvalsh(hessian), 0.0, None)
    square = float(mean @ mean)

    def surplus(log_precision: float) -> float:
        precision = np.exp(log_precision)
        return float(precision * square - (eigenvalues / (eigenvalues + precision)).sum())

    low, high = np.log(_BOUNDS)
    if surplus(high) <= 0.0:
        return _BOUNDS[1]
    return float(np.exp(brentq(surplus, low, high))) if surplus(low) < 0.0 else _BOUNDS[0]
