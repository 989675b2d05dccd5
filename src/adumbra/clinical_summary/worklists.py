"""The part of the clinical summary that lists regions to look at again, with what changes if each is in or out."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from adumbra.clinic.clot_artery import ClotArtery
from adumbra.clinic.decisions import Surroundings
from adumbra.clinic.largest_clot import LargestClot
from adumbra.clinic.modality_evidence import WithheldProbabilities
from adumbra.clinic.region_places import RegionPlaces
from adumbra.clinic.rules.case_values import CaseValues
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.worklist import Worklist, worklist
from adumbra.clinical_summary.lesion import LesionPart
from adumbra.clinical_summary.modality_information import shared_information
from adumbra.clinical_summary.place import PlacedCase
from adumbra.clinical_summary.thrombus import artery_draws
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Prediction
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Mask, Target

Withholding = Callable[[Mask], WithheldProbabilities | None]
"""The probabilities without each modality at the voxels of a mask; None where one cannot be withheld."""


def worklists(
    predictions: Mapping[Target, tuple[Prediction, PlacedCase]],
    lesion: LesionPart | None,
    values: CaseValues,
    withholding: Mapping[Target, Withholding],
    *,
    site_is_estimated: bool = False,
) -> dict[Target, Worklist]:
    """The worklist of each target but hypoperfusion, whose voxels nobody can decide on by looking.

    Args:
        predictions: The predictions with the place of their cases.
        lesion: What the summary says of the lesion.
        values: The quantities that the rules of the report are evaluated with.
        withholding: Computes the probabilities without each modality; called with the listed regions alone.
        site_is_estimated: Whether the site of the occlusion is read from the segmented clot, and no fact gives it.
    """
    lists: dict[Target, Worklist] = {}
    for target, (prediction, place) in predictions.items():
        if target == "hypoperfusion":
            continue
        own = lesion if target == "lesion" else None
        clot = _largest_clot(prediction, place) if target == "thrombus" and site_is_estimated else None
        listed = worklist(
            prediction.maps,
            prediction.mask_draws,
            brain=prediction.case.masks["brain"].data,
            places=_places(prediction, place, own),
            surroundings=_surroundings(own, values, predictions, clot),
        )
        lists[target] = _with_evidence(listed, prediction, withholding.get(target))
    return lists


def _with_evidence(listed: Worklist, prediction: Prediction, withholding: Withholding | None) -> Worklist:
    """The list with what each modality contributes to its regions, and what two of them tell together."""
    if not listed.items:
        return listed
    maps, case = prediction.maps, prediction.case
    if withholding is not None:
        regions = np.zeros(maps.grid.shape, dtype=bool)
        regions.ravel()[np.concatenate([item.voxels for item in listed.items])] = True
        withheld = withholding(regions)
        listed = listed if withheld is None else listed.with_modalities(withheld)
    spec = TARGET_SPECS[maps.target]
    inputs = () if spec.network is None else spec.network.modalities
    scans = {modality: case.scans[modality].data for modality in inputs if modality in case.scans}
    reference = next((modality for modality in spec.reference_modalities if modality in scans), None)
    if reference is None or len(scans) < 2:
        return listed
    brain = case.masks["brain"].data
    items = (
        replace(item, information=shared_information(item.voxels, maps, scans, brain=brain, reference=reference))
        for item in listed.items
    )
    return replace(listed, items=tuple(items))


def _places(prediction: Prediction, place: PlacedCase, lesion: LesionPart | None) -> RegionPlaces | None:
    if place.deformation is None:
        return None
    grid = prediction.maps.grid
    mni_mm = place.deformation.of_voxels(grid.affine, grid.shape)
    if lesion is None:
        return RegionPlaces.at(mni_mm, grid)
    return RegionPlaces.at(mni_mm, grid, lesion.territory_map, lesion.region_map)


def _surroundings(
    lesion: LesionPart | None,
    values: CaseValues,
    predictions: Mapping[Target, tuple[Prediction, PlacedCase]],
    clot: LargestClot | None,
) -> Surroundings:
    if lesion is None:
        return Surroundings(clot=clot, values=values, rules=load_rules())
    hypoperfusion = predictions.get("hypoperfusion")
    draws = None
    if hypoperfusion is not None and hypoperfusion[0].maps.grid.shape == predictions["lesion"][0].maps.grid.shape:
        draws = hypoperfusion[0].mask_draws
    return Surroundings(
        lesion.territory_map, lesion.region_map, lesion.restricted, draws, values=values, rules=load_rules()
    )


def _largest_clot(prediction: Prediction, place: PlacedCase) -> LargestClot | None:
    """What decides on the largest clot and its artery; None where the head could not be placed."""
    if place.deformation is None or prediction.mask_draws is None:
        return None

    def artery(masks: list[Mask], grid: Grid) -> ClotArtery:
        draws = artery_draws(masks, grid, place)
        assert draws is not None  # the head is placed
        return draws.artery()

    return LargestClot(prediction.maps, prediction.mask_draws, artery)
