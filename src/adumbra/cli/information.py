"""``adumbra information``: the information of each sequence about the target, alone and in combination."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table as RichTable

from adumbra.cli.options import DEFAULT_OUTPUT, OK, RESEARCH_USE, Count, Flag, NonNegative, OutputOptions
from adumbra.cli.phantoms import NO_PHANTOMS, PhantomOptions, input_cases
from adumbra.core.errors import OutputRefused
from adumbra.core.options import TrainedTarget


def information(
    cases: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    target: TrainedTarget = "lesion",
    sources: str = "dwi,adc",
    regions: str = "brain,border,mirror",
    quantiles: Count = 1,
    bins: Count = 16,
    resamples: Count = 1000,
    permutations: NonNegative = 0,
    reach: NonNegative = 0,
    sided: Flag = False,
    maps: Flag = False,
    weights: Annotated[list[str] | None, Parameter(negative=())] = None,
    draws: Count = 20,
    seed: NonNegative = 0,
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    workers: Count = 1,
    overwrite: Flag = False,
    phantoms: PhantomOptions = NO_PHANTOMS,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Measure the mutual information of sequences and target, and its decomposition, with intervals by patient.

    Writes a page with bars, and every number as JSON and CSV beside it.

    Args:
        cases: A data set with masks: BIDS, ISLES'22, a CSV manifest, or the output of adumbra simulate.
        out: The page to write, ending in .html.
        target: The target of the information.
        sources: Two or more sources, separated by commas. Sequences joined by + are one source, as in dwi+adc,b0.
        regions: Regions, separated by commas: brain, border, mirror, high-uncertainty, or the name of the target.
        quantiles: Number of parts into which uncertainty divides each region.
        bins: Number of intensity bins of each sequence.
        resamples: Number of bootstrap resamples of the patients, for the intervals.
        permutations: Number of permutations of the masks among patients, for p-values.
        reach: Radius in mm. Each voxel is described by the lowest SWI and ADC and the highest other intensities within
            it.
        sided: Describe each voxel by the difference from its mirror image in the other hemisphere.
        maps: Write the pointwise information of each pair of sources as images beside the page.
        weights: Weights of the prediction that gives the uncertainty; the target's own weights by default.
        draws: Posterior draws of that prediction.
        seed: Seed of every random choice.
        registration: Align the scans by rigid registration where that improves the match.
        workers: Number of processes that read cases.
        overwrite: Replace existing files.
    """
    if out.exists() and not overwrite:
        raise OutputRefused(out.name, expected="a new file", found="one of that name", do="add --overwrite")
    references = input_cases(cases, phantoms, option="CASES")
    from adumbra.experiments.information import InformationConfig, estimate_information, result_rows
    from adumbra.experiments.information_page import write_maps, write_page
    from adumbra.experiments.observations import ObservationOptions, observe_cases
    from adumbra.experiments.symbol_counts import parse_sources

    names = tuple(regions.split(","))
    config = InformationConfig(target, parse_sources(sources), names, bins, quantiles, resamples, permutations, seed)
    options = ObservationOptions(
        target, config.modalities, config.uses_uncertainty, tuple(weights or ()), draws, seed,
        "auto" if registration else "never", reach, sided,
    )  # fmt: skip
    observations = observe_cases(references, options, workers=workers, progress=output.progress_display())
    results = estimate_information(observations, config, progress=output.progress_display())
    subtitle = f"{len(observations)} case{'s' * (len(observations) > 1)} · target: {target} · {bins} bins"
    page = write_page(results, out, subtitle=subtitle, overwrite=overwrite)
    images = write_maps(observations, config, out.parent, overwrite=overwrite) if maps else ()
    json_result = {"rows": list(result_rows(results)), "page": page, "maps": images}
    output.print_result(json_result, _rich_table(results), f"Page: {page}", RESEARCH_USE)
    return OK


def _rich_table(results: object) -> RichTable:
    from adumbra.experiments.information import QUANTITIES

    table = RichTable(title="Bits per voxel")
    for heading in ("Sources", "Region", "Redundancy", "Unique to first", "Unique to second", "Synergy"):
        table.add_column(heading, justify="left" if heading in ("Sources", "Region") else "right")
    first = QUANTITIES.index("broja_redundancy")
    for result in results:  # type: ignore[attr-defined]  # importing the class would slow --help down
        region = result.region if result.quantile is None else f"{result.region}, quantile {result.quantile + 1}"
        atoms = [
            f"{result.estimate.value[k]:.4f} ({result.estimate.low[k]:.4f} to {result.estimate.high[k]:.4f})"
            for k in range(first, first + 4)
        ]
        table.add_row(", ".join(result.sources), region, *atoms)
    return table
