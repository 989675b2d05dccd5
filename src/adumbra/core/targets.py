"""What a target is: the one place that says so. A new target is one entry here, and its ground truth in the phantom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adumbra.core.types import Modality, Target


@dataclass(frozen=True)
class NetworkDefaults:
    """The usual network of a target.

    Attributes:
        modalities: Input channels, in order.
        spacing_mm: Spacing of the isotropic grid that the network works on.
        hard_voxel_fraction: Share of the voxels with the highest loss that count twice; about the share of a patch that
            the target fills.
    """

    modalities: tuple[Modality, ...]
    spacing_mm: float
    hard_voxel_fraction: float


@dataclass(frozen=True)
class TargetSpec:
    """Facts of one target.

    Attributes:
        title: For headings.
        reference_modalities: The target is segmented and written on the voxels of the first of these that a case has.
        annotated_on: Modalities that an expert may have drawn it on, the likeliest first; settles the grid of a mask
            that does not say where it belongs.
        bids_datatype: Folder of its derivatives.
        file_words: Words in a file name that mean a mask of it, as a regular expression.
        column_words: Headings of a manifest's column of such masks, separated by ``|``.
        network: Its usual network; None for one that is estimated from the predictions of the others.
    """

    title: str
    reference_modalities: tuple[Modality, ...]
    annotated_on: tuple[Modality, ...]
    bids_datatype: Literal["dwi", "anat"]
    file_words: str
    column_words: str
    network: NetworkDefaults | None = None


_DIFFUSION: tuple[Modality, ...] = ("dwi", "adc", "b0")

TARGET_SPECS: Mapping[Target, TargetSpec] = {
    "lesion": TargetSpec(
        title="Ischemic lesion",
        reference_modalities=_DIFFUSION,
        annotated_on=("dwi", "adc", "b0", "flair", "swi", "tof", "phase"),
        bids_datatype="dwi",
        file_words=r"lesion|lesions|les|infarct|infarctus|core|coeur",
        column_words="lesion|lesionmask|masklesion|lesionmsk|msklesion|masquelesion|infarct",
        network=NetworkDefaults(("dwi", "adc", "b0", "flair"), 2.0, 0.01),
    ),
    "thrombus": TargetSpec(
        title="Thrombus",
        reference_modalities=("swi", "tof"),
        annotated_on=("swi", "tof", "phase", "dwi", "adc", "b0", "flair"),
        bids_datatype="anat",
        file_words=r"thrombus|thrombi|thr|clot|caillot",
        column_words="thrombus|thrombusmask|maskthrombus|thrombusmsk|mskthrombus|masquethrombus|clot|clotmask",
        network=NetworkDefaults(("swi", "phase", "tof", "dwi"), 1.0, 0.001),
    ),
    "hypoperfusion": TargetSpec(
        title="Hypoperfused tissue",
        reference_modalities=_DIFFUSION,
        annotated_on=("dwi", "adc", "b0", "flair", "swi", "tof", "phase"),
        bids_datatype="dwi",
        file_words=r"hypoperfusion|hypoperfused|penumbra|tmax",
        column_words="hypoperfusion|hypoperfusionmask",
    ),
}
"""The facts of every target, by name."""


def network_defaults(target: Target) -> NetworkDefaults:
    """The usual network of a target.

    Raises:
        KeyError: No network segments it.
    """
    defaults = TARGET_SPECS[target].network
    if defaults is None:
        raise KeyError(f"no network segments the {target}")
    return defaults
