"""What a study of information keeps of a case: intensities, outline, zones and doubt of the voxels of its brain."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.case import Case
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Modality, Target, Volume
from adumbra.experiments.regions import BrainContext
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import load
from adumbra.pipeline import Registration, read
from adumbra.posterior.registry import posterior_of
from adumbra.preprocessing.normalisation import normalised
from adumbra.preprocessing.pipeline import preprocess, reference_modality
from adumbra.training.cache import CaseRef

_DARK: tuple[Modality, ...] = ("swi", "adc")  # on which what is looked for is dark


@dataclass(frozen=True)
class ObservationOptions:
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
class CaseObservations:
    """One case.

    Attributes:
        name: Of the case.
        intensities: By modality, (X, Y, Z) in network units, on ``head.grid``; as ``described``.
        target_mask: Of the target, (X, Y, Z).
        head: Brain, grid, and the entropy where it was predicted.
        native: The grid of the reference scan as it was stored, for maps.
    """

    name: str
    intensities: Mapping[Modality, np.ndarray]
    target_mask: Mask
    head: BrainContext
    native: Grid


def observed(ref: CaseRef, look: ObservationOptions) -> CaseObservations:
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
    head = BrainContext(aligned.masks["brain"].data, aligned.grid, entropy)
    intensities = {m: described(units.scans[m].data, head, look, dark=m in _DARK) for m in look.modalities}
    return CaseObservations(
        case.name, intensities, truth.data, head, aligned.scans[reference_modality(case, look.target)].native
    )


def described(image: Volume, head: BrainContext, look: ObservationOptions, *, dark: bool) -> Volume:
    """What each voxel is described by, see ``ObservationOptions.reach_mm`` and ``ObservationOptions.sided``; itself by default."""
    reach = [2 * int(look.reach_mm / spacing) + 1 for spacing in head.grid.spacing_mm]
    if max(reach) > 1:
        image = (ndimage.minimum_filter if dark else ndimage.maximum_filter)(image, reach)
    if look.sided:
        image = image - np.where(head.mirror >= 0, image.ravel()[head.mirror], image.ravel()).reshape(image.shape)
    return image


def _on_one_grid(case: Case, look: ObservationOptions) -> tuple[Case, np.ndarray | None]:
    """The aligned case, and the entropy of its prediction where it is asked for."""
    if not look.predicted:
        aligned, _ = preprocess(
            case, target=look.target, modalities=look.modalities, spacing_mm=4.0, registration=look.registration
        )
        return aligned, None
    networks = [load(name) for name in look.weights or (look.target,)]
    posterior = posterior_of(networks, target=look.target, inference=InferenceConfig(threads=1))
    card = networks[0].card
    reading = read(
        case, networks[0], posterior, target=look.target, draws=look.draws, seed=look.seed, threshold=card.threshold,
        high_threshold=card.high_threshold, registration=look.registration,
    )  # fmt: skip
    return reading.case, reading.maps.entropy
