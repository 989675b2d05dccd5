"""``adumbra simulate``: writes simulated patients as a BIDS data set."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, Count, Flag, NonNegative, OutputOptions, PhantomPreset


def simulate(
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    cases: Count = 20,
    seed: NonNegative = 0,
    first: NonNegative = 0,
    preset: PhantomPreset = "monocentric",
    explain: Flag = False,
    lesion_masks: Path | None = None,
    workers: Count = 1,
    overwrite: Flag = False,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Simulate patients with a stroke and write them as a BIDS data set with their exact ground truth.

    Args:
        out: Folder of the data set.
        cases: Number of patients.
        seed: Seed of the cohort. The same seed gives the same patients for any number of workers.
        first: Number of the first patient. Use it to extend a data set.
        preset: The examination. monocentric is one scanner with all seven sequences at 1 mm. multicentric is many
            scanners, with sequences missing. emergency is an examination within a day of the stroke. clots has three
            to eight clots in each head, for training. diffusion is DWI, ADC, b0 and FLAIR at 2 mm, without vessels, in
            about a second per case. lesion-physics, lesion-mixture and lesion-both randomise lesion, scanner, missing
            sequences and annotators at 2 mm; their contrasts come from the signal equations, from Gaussian mixtures,
            or from both.
        explain: Write a page beside each case that shows the steps of its simulation.
        lesion_masks: Folder of lesion masks in MNI space. Half of the infarcts take their shapes.
        workers: Number of processes.
        overwrite: Replace existing cases.
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
        progress=output.progress_display(),
    )
    text = f"{len(names)} simulated cases in {out}. The phantom is not a patient."
    output.print_result({"out": out, "cases": names}, text)
    return OK
