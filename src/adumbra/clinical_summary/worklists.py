"""The part of the clinical summary that lists regions to look at again, with what changes if each is in or out."""

from collections.abc import Mapping

from adumbra.clinic.decisions import Surroundings
from adumbra.clinic.modality_evidence import WithheldProbabilities
from adumbra.clinic.region_places import RegionPlaces
from adumbra.clinic.rules.case_values import CaseValues
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.worklist import Worklist, worklist
from adumbra.clinical_summary.lesion import LesionPart
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.results import Prediction
from adumbra.core.types import Target


def worklists(
    predictions: Mapping[Target, tuple[Prediction, PlacedCase]],
    lesion: LesionPart | None,
    values: CaseValues,
    withheld: Mapping[Target, WithheldProbabilities],
) -> dict[Target, Worklist]:
    """The worklist of each target but hypoperfusion, whose voxels nobody can decide by looking.

    Args:
        predictions: The predictions with the place of their cases.
        lesion: What the summary says of the lesion.
        values: The quantities that the rules of the report are evaluated with.
        withheld: Probabilities without each modality, where they were computed.
    """
    lists: dict[Target, Worklist] = {}
    for target, (prediction, place) in predictions.items():
        if target == "hypoperfusion":
            continue
        own = lesion if target == "lesion" else None
        lists[target] = worklist(
            prediction.maps,
            prediction.mask_draws,
            brain=prediction.case.masks["brain"].data,
            places=_places(prediction, place, own),
            surroundings=_surroundings(own, values, predictions),
            withheld=withheld.get(target),
        )
    return lists


def _places(prediction: Prediction, place: PlacedCase, lesion: LesionPart | None) -> RegionPlaces | None:
    if place.deformation is None:
        return None
    grid = prediction.maps.grid
    mni_mm = place.deformation.of_voxels(grid.affine, grid.shape)
    if lesion is None:
        return RegionPlaces.at(mni_mm, grid)
    return RegionPlaces.at(mni_mm, grid, lesion.territory_map, lesion.region_map)


def _surroundings(
    lesion: LesionPart | None, values: CaseValues, predictions: Mapping[Target, tuple[Prediction, PlacedCase]]
) -> Surroundings:
    if lesion is None:
        return Surroundings(values=values, rules=load_rules())
    hypoperfusion = predictions.get("hypoperfusion")
    draws = None
    if hypoperfusion is not None and hypoperfusion[0].maps.grid.shape == predictions["lesion"][0].maps.grid.shape:
        draws = hypoperfusion[0].mask_draws
    return Surroundings(
        lesion.territory_map, lesion.region_map, lesion.restricted, draws, values=values, rules=load_rules()
    )
