"""Options of a prediction about the patient, for the rules of trials and guidelines."""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from adumbra.cli.options import unwrap_docstring
from adumbra.core.clinical_facts import ClinicalFacts, OcclusionSite

Hours = Annotated[float | None, Parameter(validator=Number(gte=0))]
YesNo = Literal["yes", "no"] | None


@Parameter(name="*", group=Group("Patient, for the rules of trials and guidelines", sort_key=3))
@unwrap_docstring
@dataclass(frozen=True)
class ClinicalArguments:
    """What is known of the patient. A manifest or a BIDS participants file may state the same under these names.

    Attributes:
        age: Age in years.
        nihss: NIHSS at admission.
        prestroke_mrs: Modified Rankin scale before the stroke.
        onset_known: Whether the time of onset is known.
        hours_since_last_known_well: Hours since the patient was last known to be well.
        hours_since_recognition: Hours since the symptoms were recognised.
        hours_since_sleep_midpoint: Hours since the midpoint of sleep, for a stroke on awakening.
        occlusion_site: The occluded artery, where angiography shows it. It takes the place of the estimate.
        mass_effect: Whether there is significant mass effect.
        collateral_flow: Whether angiography shows collateral flow.
        perfusion_penumbra: Whether automated perfusion imaging shows a penumbra.
        evt_possible: Whether thrombectomy is possible.
    """

    age: Annotated[float | None, Parameter(validator=Number(gte=0, lte=125))] = None
    nihss: Annotated[int | None, Parameter(validator=Number(gte=0, lte=42))] = None
    prestroke_mrs: Annotated[int | None, Parameter(validator=Number(gte=0, lte=5))] = None
    onset_known: YesNo = None
    hours_since_last_known_well: Hours = None
    hours_since_recognition: Hours = None
    hours_since_sleep_midpoint: Hours = None
    occlusion_site: OcclusionSite | None = None
    mass_effect: YesNo = None
    collateral_flow: YesNo = None
    perfusion_penumbra: YesNo = None
    evt_possible: YesNo = None

    def facts(self) -> ClinicalFacts:
        """The facts, with yes and no as booleans."""
        flags = {"yes": True, "no": False}
        return ClinicalFacts(**{name: flags.get(value, value) for name, value in asdict(self).items()})


NO_CLINICAL_ARGUMENTS = ClinicalArguments()
