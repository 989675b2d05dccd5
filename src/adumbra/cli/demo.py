"""``adumbra demo``: the main job on a stroke that the phantom draws, and on a case of the user's."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, OutputOptions, command_line
from adumbra.cli.predict import result_of, text_of
from adumbra.core.progress import Progress

if TYPE_CHECKING:
    import adumbra.pipeline

SEED = 38  # an infarct of the first day, in one territory


def demo(
    case: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("demo"),
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Draw a stroke, outline it with its uncertainty, and name the report to open; the same for CASE if given.

    Args:
        case: A real case, as adumbra predict takes it.
        out: Folder to write to; results of an earlier demo are replaced.
    """
    outcomes = [_predicted(_phantom(out, manner.watch()), out / "phantom-result", manner.watch())]
    if case is not None:
        outcomes.append(_predicted(case, out / "case-result", manner.watch()))
    reports = "\n".join(f"Open in a browser: {outcome.report.resolve()}" for outcome in outcomes)
    manner.answer({"predictions": [result_of(o) for o in outcomes]}, *map(text_of, outcomes), reports)
    return OK


def _phantom(out: Path, progress: Progress) -> Path:
    from adumbra.simulation import cohort

    (name,) = cohort.simulate(
        out / "phantom", cases=1, seed=SEED, preset_name="diffusion", overwrite=True, progress=progress
    )
    return out / "phantom" / name


def _predicted(source: Path, out: Path, progress: Progress) -> "adumbra.pipeline.PredictionOutcome":
    from adumbra import pipeline

    return pipeline.predict(source, out=out, overwrite=True, command=command_line(sys.argv[1:]), progress=progress)
