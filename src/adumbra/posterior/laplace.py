"""Last-layer Laplace: a Gaussian around the trained weights of the head, as wide as the loss is flat there.

MacKay, Neural Computation 4, 1992; Daxberger et al., NeurIPS 2021. With φ the features that the head reads (a 1 last,
for the bias), p the probability and λ the prior's precision, each target has

    q(w) = N(ŵ, (H + λ I)⁻¹),        H = Σ_voxels p (1 - p) φ φᵀ

The targets' logits share no weight, so that this is block-diagonal as it stands and *full* within each block.
*Kronecker* is the mean of φ φᵀ times the sum of p (1 - p); *diagonal* keeps the diagonal alone. λ maximises the
evidence. Neighbouring voxels are not independent: a voxel counts ``weight`` times, as many as independent ones would
carry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from adumbra.core.references import cites
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation
from adumbra.posterior.weightspace import require_fitted, with_weights

NAME = "laplace"
Form = Literal["full", "kronecker", "diagonal"]
_BOUNDS = (1e-6, 1e8)  # of the prior's precision


@cites("MacKay1992", "Daxberger2021")
@dataclass(frozen=True, eq=False)
class LastLayerLaplace:
    """A Gaussian of the head's weights; its mean is the network's.

    Attributes:
        root: (T, D, D), lower triangular: the covariance of target t is ``root[t] @ root[t].T``; D counts the
            bias, last.
        form: Of the curvature.
        prior_precision: λ of each target.
        weight: How many independent voxels one counted as.
    """

    root: Tensor
    form: Form = "full"
    prior_precision: tuple[float, ...] = ()
    weight: float = 1.0

    @classmethod
    def of(cls, loaded: Loaded) -> "LastLayerLaplace":
        """What was fitted to the weights.

        Raises:
            WeightsRejected: Nothing was.
        """
        require_fitted(loaded, NAME)
        about: Mapping[str, Any] = loaded.card.posterior
        return cls(loaded.fitted["root"], about["form"], tuple(about["prior_precision"]), about["weight"])

    @property
    def state(self) -> Mapping[str, object]:
        """Form and prior."""
        about = {"form": self.form, "prior_precision": list(self.prior_precision), "weight": self.weight}
        return {"approximation": NAME, **about}

    def part(self, loaded: Loaded) -> NetworkStage:
        """Everything before the head is computed once."""
        return "head"

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One head."""
        head = network.decoder.head
        z = torch.from_numpy(generator.standard_normal(tuple(self.root.shape[:2])).astype(np.float32))
        offset = torch.einsum("tij,tj->ti", self.root, z).to(head.weight)
        weights = {
            "decoder.head.weight": head.weight + offset[:, :-1].reshape(head.weight.shape),
            "decoder.head.bias": head.bias + offset[:, -1],
        }
        return with_weights(weights, "head")


@dataclass
class Curvature:
    """Sums over voxels from which every form follows; add as many batches as there are.

    Attributes:
        full: (T, D, D), Σ p (1 - p) φ φᵀ.
        features: (D, D), Σ φ φᵀ.
        bends: (T,), Σ p (1 - p).
        voxels: How many.
        log_likelihood: (T,), Σ log p(y).
    """

    full: np.ndarray
    features: np.ndarray
    bends: np.ndarray
    voxels: float = 0.0

    @classmethod
    def empty(cls, targets: int, features: int) -> "Curvature":
        """Of no voxel; ``features`` counts the bias."""
        return cls(np.zeros((targets, features, features)), np.zeros((features, features)), np.zeros(targets))

    def add(self, features: np.ndarray, bends: np.ndarray) -> None:
        """Takes in voxels.

        Args:
            features: (N, D), the bias's 1 last.
            bends: (T, N), second derivative of each voxel's loss by its logit: p (1 - p) of a probability, 1 / σ² of a
                measurement with noise σ.
        """
        phi = features.astype(np.float64)
        for target, bend in enumerate(bends.astype(np.float64)):
            self.full[target] += (phi * bend[:, None]).T @ phi
        self.features += phi.T @ phi
        self.bends += bends.sum(axis=1, dtype=np.float64)
        self.voxels += len(phi)

    def of(self, form: Form) -> np.ndarray:
        """(T, D, D) of a form."""
        if form == "kronecker":
            return self.bends[:, None, None] * self.features[None] / max(1.0, self.voxels)
        diagonal = np.eye(self.features.shape[0])[None]
        return self.full * diagonal if form == "diagonal" else self.full


def fitted(
    curvature: Curvature,
    mean: np.ndarray,
    *,
    form: Form = "full",
    weight: float = 1.0,
    prior_precision: float | None = None,
) -> LastLayerLaplace:
    """The Gaussian around weights.

    Args:
        curvature: Of the training's voxels.
        mean: (T, D), the trained weights, the bias last.
        form: Of the curvature.
        weight: How many independent voxels one counts as.
        prior_precision: λ; None takes for each target the one that maximises the evidence.

    Raises:
        ValueError: There was no voxel.
    """
    if curvature.voxels == 0:
        raise ValueError("curvature: expected voxels, found none")
    hessians = weight * curvature.of(form)
    given = [prior_precision] * len(mean)
    priors = [
        evident_precision(hessian, own) if prior is None else prior
        for hessian, own, prior in zip(hessians, mean, given, strict=True)
    ]
    identity = np.eye(mean.shape[1])
    roots = [np.linalg.cholesky(np.linalg.inv(h + prior * identity)) for h, prior in zip(hessians, priors, strict=True)]
    return LastLayerLaplace(torch.from_numpy(np.stack(roots).astype(np.float32)), form, tuple(priors), weight)


def evident_precision(hessian: np.ndarray, mean: np.ndarray) -> float:
    """The prior's precision λ that maximises the evidence, D/2 log λ - λ |ŵ|² / 2 - 1/2 log det(H + λ I).

    It is looked for between 1e-6 and 1e8, for weights of zero have no finite one. Where the evidence has its maximum
    MacKay's fixed point holds, λ |ŵ|² = Σ hᵢ / (hᵢ + λ).
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
