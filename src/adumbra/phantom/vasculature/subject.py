"""The vessels of one subject: trees grown in the template, carried into the subject's space by the deformation."""

from dataclasses import dataclass, replace

import numpy as np

from adumbra.core.types import Labels, Mask
from adumbra.phantom.anatomy.head import Head, in_subject
from adumbra.phantom.vasculature.arteries import grow_arteries
from adumbra.phantom.vasculature.territories import labelled_territories, nearest_ends
from adumbra.phantom.vasculature.veins import grow_veins
from adumbra.phantom.vasculature.vessels import Tree

_TISSUE = 0.5  # tissue fraction from which an artery supplies a voxel


@dataclass(frozen=True, eq=False)
class Vasculature:
    """The vessels of one subject, in millimetres of the subject.

    Attributes:
        arteries: The arterial tree; parents lie upstream.
        veins: The venous tree; parents lie downstream.
        variants: Variant of the circle of Willis on each side, ``"R"`` and ``"L"``; empty where there is none.
        tissue: (X, Y, Z), the voxels that arteries supply.
        nearest: (M,), for each voxel of ``tissue``, in their order, the index of its supplying end among
            ``arteries.ends``.
    """

    arteries: Tree
    veins: Tree
    variants: dict[str, str]
    tissue: Mask
    nearest: np.ndarray

    @property
    def territories(self) -> Labels:
        """The arterial territory of each voxel, numbered as in ``territories.LABELS``."""
        return labelled_territories(self.arteries, self.tissue, self.nearest)


def sample_vasculature(rng: np.random.Generator, head: Head) -> Vasculature:
    """Samples the vessels of a subject.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy.
    """
    arteries, variants = grow_arteries(rng)
    arteries = replace(arteries, points_mm=in_subject(head, arteries.points_mm))
    veins = grow_veins(rng)
    veins = replace(veins, points_mm=in_subject(head, veins.points_mm))
    tissue = head.tissue > _TISSUE
    nearest = nearest_ends(arteries, head.grid.world_mm(np.argwhere(tissue)))
    return Vasculature(arteries, veins, variants, tissue, nearest)
