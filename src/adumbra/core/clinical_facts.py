"""What is known of a patient besides the images: age, scores and times. The names are those that the rules use.

Nothing here identifies a patient: no date, no place, no name. A time is a duration in hours.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

OcclusionSite = Literal[
    "ica_cervical", "ica_intracranial", "ica", "m1", "m2_dominant", "m2_other", "m2", "mca_distal", "aca", "pca",
    "basilar", "vertebral", "none",
]  # fmt: skip
"""An occlusion site, or a group of sites where the segment is not known; a test compares the rules."""
OCCLUSION_SITES: tuple[OcclusionSite, ...] = get_args(OcclusionSite)


@dataclass(frozen=True)
class ClinicalFacts:
    """Facts of one patient; None where not known.

    Attributes:
        age: Age in years.
        nihss: NIHSS at admission, 0 to 42.
        prestroke_mrs: Modified Rankin scale before the stroke, 0 to 5.
        onset_known: Whether the time of onset is known.
        hours_since_last_known_well: Hours since the patient was last known to be well.
        hours_since_recognition: Hours since the symptoms were recognised.
        hours_since_sleep_midpoint: Hours since the midpoint of sleep, for a stroke on awakening.
        occlusion_site: The occluded artery as an angiography shows it, a name of ``clinic.rules.quantities.SITES``; it
            takes the place of the artery that was estimated from the clot.
        mass_effect: Whether there is significant mass effect.
        collateral_flow: Whether an angiography shows collateral flow.
        perfusion_penumbra: Whether automated perfusion imaging shows a salvageable penumbra.
        evt_possible: Whether thrombectomy is possible.
    """

    age: float | None = None
    nihss: int | None = None
    prestroke_mrs: int | None = None
    onset_known: bool | None = None
    hours_since_last_known_well: float | None = None
    hours_since_recognition: float | None = None
    hours_since_sleep_midpoint: float | None = None
    occlusion_site: str | None = None
    mass_effect: bool | None = None
    collateral_flow: bool | None = None
    perfusion_penumbra: bool | None = None
    evt_possible: bool | None = None

    def known(self) -> dict[str, float | int | bool | str]:
        """The facts that are known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def completed_by(self, other: "ClinicalFacts") -> "ClinicalFacts":
        """These facts, and those of another source where these lack one."""
        return ClinicalFacts(**{**other.known(), **self.known()})  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "ClinicalFacts":
        """Facts from plain values; unknown names are left out."""
        return cls(**{name: value for name, value in content.items() if name in cls.__dataclass_fields__})  # type: ignore[arg-type]


NO_FACTS = ClinicalFacts()
