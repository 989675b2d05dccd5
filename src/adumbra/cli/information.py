"""``adumbra information``: what each sequence tells about the target, alone and together."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.table import Table as Grating

from adumbra.cli.options import DEFAULT_OUTPUT, OK, RESEARCH_USE, Count, Flag, From0, OutputOptions
from adumbra.cli.train import NO_PHANTOMS, PhantomOptions, cases_of
from adumbra.core.errors import OutputRefused


def information(
    cases: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    target: Literal["lesion", "thrombus"] = "lesion",
    sources: str = "dwi,adc",
    regions: str = "brain,border,mirror",
    quantiles: Count = 1,
    bins: Count = 16,
    resamples: Count = 1000,
    permutations: From0 = 0,
    reach: From0 = 0,
    sided: Flag = False,
    maps: Flag = False,
    weights: Annotated[list[str] | None, Parameter(negative=())] = None,
    draws: Count = 20,
    seed: From0 = 0,
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    workers: Count = 1,
    overwrite: Flag = False,
    drawn: PhantomOptions = NO_PHANTOMS,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Measure what sequences know of the target: mutual information and its decomposition, with intervals by patient.

    Writes a page with bars, and every number as JSON and CSV beside it.

    Args:
        cases: A data set with its outlines: BIDS, ISLES'22, a CSV manifest, what adumbra simulate wrote.
        out: The page, ending in .html.
        target: What the sequences are to tell of.
        sources: Two or more, with commas; sequences joined by + are one source, as in dwi+adc,b0.
        regions: With commas: brain, border, mirror, high-uncertainty, or the target's name.
        quantiles: Cut each region into so many parts by uncertainty.
        bins: Of each sequence.
        resamples: Of patients, for the intervals.
        permutations: With the outlines of other patients, for p-values.
        reach: Describe each voxel by the darkest SWI and ADC, the brightest of the others, within so many mm.
        sided: Describe each voxel by how it differs from its mirror image in the other half of the brain.
        maps: Write the pointwise information of each pair of sources as images beside the page.
        weights: Of the prediction that gives the uncertainty; those of the target by default.
        draws: Of that prediction.
        seed: Of every random choice.
        registration: Bring scans onto each other by rigid registration where that helps.
        workers: Processes that read cases.
        overwrite: Replace earlier files.
    """
    if out.exists() and not overwrite:
        raise OutputRefused(out.name, expected="a new file", found="one of that name", do="add --overwrite")
    asked_of = cases_of(cases, drawn, named="CASES")
    from adumbra.experiments.information import InformationConfig, analyse, observe, rows_of, sources_of
    from adumbra.experiments.information_page import write_maps, write_page
    from adumbra.experiments.observations import ObservationOptions

    zones = tuple(regions.split(","))
    asked = InformationConfig(target, sources_of(sources), zones, bins, quantiles, resamples, permutations, seed)
    look = ObservationOptions(
        target, asked.modalities, asked.uses_uncertainty, tuple(weights or ()), draws, seed,
        "auto" if registration else "never", reach, sided,
    )  # fmt: skip
    heads = observe(asked_of, look, workers=workers, progress=manner.watch())
    found = analyse(heads, asked, progress=manner.watch())
    about = f"{len(heads)} case{'s' * (len(heads) > 1)} · target: {target} · {bins} bins"
    page = write_page(found, out, about=about, overwrite=overwrite)
    images = write_maps(heads, asked, out.parent, overwrite=overwrite) if maps else ()
    told = {"rows": list(rows_of(found)), "page": page, "maps": images}
    manner.answer(told, _shown(found), f"Page: {page}", RESEARCH_USE)
    return OK


def _shown(found: object) -> Grating:
    from adumbra.experiments.information import QUANTITIES

    grating = Grating(title="Bits per voxel")
    for heading in ("Sources", "Region", *("redundant", "only first", "only second", "synergy")):
        grating.add_column(heading, justify="left" if heading in ("Sources", "Region") else "right")
    first = QUANTITIES.index("broja_redundancy")
    for answer in found:  # type: ignore[attr-defined]  # Answers; their import would cost --help its quickness
        region = answer.zone if answer.quantile is None else f"{answer.zone}, quantile {answer.quantile + 1}"
        atoms = [
            f"{answer.found.value[k]:.4f} ({answer.found.low[k]:.4f} to {answer.found.high[k]:.4f})"
            for k in range(first, first + 4)
        ]
        grating.add_row(", ".join(answer.sources), region, *atoms)
    return grating
