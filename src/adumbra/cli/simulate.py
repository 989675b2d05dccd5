"""``adumbra simulate``: phantom strokes as a BIDS data set."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, Count, Flag, From0, OutputOptions, PhantomPreset


def simulate(
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    cases: Count = 20,
    seed: From0 = 0,
    first: From0 = 0,
    preset: PhantomPreset = "monocentric",
    explain: Flag = False,
    lesion_masks: Path | None = None,
    workers: Count = 1,
    overwrite: Flag = False,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Draw strokes with the phantom and write them as a BIDS data set with their exact truth.

    Args:
        out: Folder of the data set.
        cases: How many.
        seed: The same seed gives the same cases, whatever the number of workers.
        first: Number of the first case, to go on with a data set.
        preset: One scanner with all seven sequences at 1 mm; many scanners, with sequences missing; or DWI, ADC, b0 and
            FLAIR alone at 2 mm, without vessels, in a second a case.
        explain: Write beside each case a page that shows how it grew, step by step.
        lesion_masks: Folder of lesion masks in MNI space whose shapes are to be used, in place of drawn ones.
        workers: Processes to use.
        overwrite: Replace cases that are there already.
    """
    from adumbra.simulation import cohort

    names = cohort.simulate(
        out,
        cases=cases,
        seed=seed,
        first=first,
        preset_name=preset,
        explain=explain,
        lesion_masks=lesion_masks,
        workers=workers,
        overwrite=overwrite,
        progress=manner.watch(),
    )
    manner.answer({"out": out, "cases": names}, f"{len(names)} phantom cases in {out}. The phantom is not a patient.")
    return OK
