"""``adumbra demo``: a prediction of a simulated patient, and of a case of the user's."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, OutputOptions, command_line
from adumbra.cli.outcome import assessment_text, json_assessment
from adumbra.core.clinical_facts import NO_FACTS, ClinicalFacts
from adumbra.core.progress import Progress

if TYPE_CHECKING:
    import adumbra.assessment

SEED, PRESET = 38, "monocentric"  # A clot in the M1 with the vessel sign, and a small infarct in its territory.
FACTS = ClinicalFacts(age=71.0, nihss=14, prestroke_mrs=0, onset_known=True, hours_since_last_known_well=20.5)
"""Facts of a patient that are invented, so that the report of the phantom shows verdicts."""


def demo(
    case: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("demo"),
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Simulate a stroke, segment it with its uncertainty, and print the path of the report. CASE is segmented too.

    Args:
        case: A real case, as adumbra predict takes it.
        out: Folder to write to. The results of an earlier demo are replaced.
    """
    simulated = _simulate(out, output.progress_display())
    outcomes = [_predict(simulated, out / "phantom-result", output.progress_display(), FACTS)]
    if case is not None:
        outcomes.append(_predict(case, out / "case-result", output.progress_display()))
    reports = "\n".join(f"Open in a browser: {outcome.report.resolve()}" for outcome in outcomes)
    output.print_warnings(warning for outcome in outcomes for warning in outcome.warnings)
    output.print_result(
        {"predictions": [json_assessment(o) for o in outcomes]}, *map(assessment_text, outcomes), reports
    )
    return OK


def _simulate(out: Path, progress: Progress) -> Path:
    from adumbra.simulation import cohort

    (name,) = cohort.simulate(
        out / "phantom", cases=1, seed=SEED, preset_name=PRESET, overwrite=True, progress=progress
    )
    return out / "phantom" / name


def _predict(
    source: Path, out: Path, progress: Progress, facts: ClinicalFacts = NO_FACTS
) -> "adumbra.assessment.Assessment":
    from adumbra.assessment import assess

    return assess(source, out, facts=facts, overwrite=True, command=command_line(sys.argv[1:]), progress=progress)
