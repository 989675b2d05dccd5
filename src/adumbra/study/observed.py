"""What a study of information keeps of a case: intensities, outline, zones and doubt of the voxels of its brain."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.case import Case
from adumbra.errors import MissingInput
from adumbra.networks.catalogue import load
from adumbra.posterior.catalogue import posterior_of
from adumbra.posterior.run import Running
from adumbra.prepare.normalise import normalised
from adumbra.prepare.ready import made_ready, reference_of
from adumbra.road import Registration, read
from adumbra.shapes import Mask, Modality, Target, Volume
from adumbra.space.grid import Grid
from adumbra.study.zones import Head
from adumbra.training.cache import CaseRef

_DARK: tuple[Modality, ...] = ("swi", "adc")  # on which what is looked for is dark


@dataclass(frozen=True)
class Look:
    """How cases are looked at.

    Attributes:
        target: Whose outline is the target.
        modalities: That are sources, alone or together.
        predicted: Whether the case is predicted, for its uncertainty.
        weights: Of the prediction.
        draws: Of the prediction.
        seed: Of the prediction.
        registration: Whether scans on other grids are registered.
        reach_mm: A voxel is described by the darkest value of SWI and ADC, the brightest of others, in a cube that
            reaches so far to every side; 0 takes its own value.
        sided: Whether a voxel is described by how it differs from the mirrored one in the other half of the brain.
    """

    target: Target
    modalities: tuple[Modality, ...]
    predicted: bool = False
    weights: tuple[str, ...] = ()
    draws: int = 20
    seed: int = 0
    registration: Registration = "auto"
    reach_mm: float = 0.0
    sided: bool = False


@dataclass(frozen=True, eq=False)
class Observed:
    """One case.

    Attributes:
        name: Of the case.
        intensities: By modality, (X, Y, Z) in network units, on ``head.grid``; as ``described``.
        outline: Of the target, (X, Y, Z).
        head: Brain, grid, and the entropy where it was predicted.
        native: The grid of the reference scan as it was stored, for maps.
    """

    name: str
    intensities: Mapping[Modality, np.ndarray]
    outline: Mask
    head: Head
    native: Grid


def observed(ref: CaseRef, look: Look) -> Observed:
    """A case, opened and on one grid.

    Raises:
        MissingInput: It has no outline, or lacks a modality.
        InputRejected: The case cannot be used.
    """
    case = ref.open()
    if case.truth(look.target) is None:
        raise MissingInput(
            case.name, expected=f"an outline of the {look.target}", found="none", do="leave the case out, or outline it"
        )
    aligned, entropy = _on_one_grid(case, look)
    missing = [modality for modality in look.modalities if modality not in aligned.scans]
    if missing:
        raise MissingInput(
            case.name, expected=f"the sources {', '.join(look.modalities)}", found=f"no {', '.join(missing)}",
            do="leave the case out, or choose other sources",
        )  # fmt: skip
    units = normalised(aligned)
    truth = aligned.truth(look.target)
    assert truth is not None  # as it was before it was aligned
    head = Head(aligned.masks["brain"].data, aligned.grid, entropy)
    intensities = {m: described(units.scans[m].data, head, look, dark=m in _DARK) for m in look.modalities}
    return Observed(case.name, intensities, truth.data, head, aligned.scans[reference_of(case, look.target)].native)


def described(image: Volume, head: Head, look: Look, *, dark: bool) -> Volume:
    """What each voxel is described by, see ``Look.reach_mm`` and ``Look.sided``; itself by default."""
    reach = [2 * int(look.reach_mm / spacing) + 1 for spacing in head.grid.spacing_mm]
    if max(reach) > 1:
        image = (ndimage.minimum_filter if dark else ndimage.maximum_filter)(image, reach)
    if look.sided:
        image = image - np.where(head.mirror >= 0, image.ravel()[head.mirror], image.ravel()).reshape(image.shape)
    return image


def _on_one_grid(case: Case, look: Look) -> tuple[Case, np.ndarray | None]:
    """The aligned case, and the entropy of its prediction where it is asked for."""
    if not look.predicted:
        aligned, _ = made_ready(
            case, target=look.target, modalities=look.modalities, spacing_mm=4.0, registration=look.registration
        )
        return aligned, None
    networks = [load(name) for name in look.weights or (look.target,)]
    posterior = posterior_of(networks, target=look.target, running=Running(threads=1))
    card = networks[0].card
    reading = read(
        case, networks[0], posterior, target=look.target, draws=look.draws, seed=look.seed, threshold=card.threshold,
        peak_threshold=card.peak_threshold, registration=look.registration,
    )  # fmt: skip
    return reading.case, reading.maps.entropy
