"""The road of one case, from the scanner's files to the page that is read: open, align, sample, map, find, write.

open      files -> Case, each scan on its own grid                               adumbra.cases
align     all scans on the grid of one of them, with a brain mask                adumbra.prepare
sample    draws from the posterior, one probability volume at a time             adumbra.posterior
map       running sums: probability, entropies, variance; a volume per draw      adumbra.uncertainty
find      what a reader wants to know, with intervals; where to look             adumbra.clinic
write     maps on the native grid, a manifest, a page                            adumbra.report
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from adumbra.case import Case
from adumbra.cases.catalogue import open_case
from adumbra.clinic.findings import findings
from adumbra.evaluation.compare import scores
from adumbra.manifest import Clock, run_of
from adumbra.networks.catalogue import LoadedNetwork, load
from adumbra.networks.unet import UNet
from adumbra.posterior.base import Posterior
from adumbra.posterior.catalogue import posterior_of
from adumbra.posterior.run import Running
from adumbra.posterior.view import BEYOND_BRAIN_MM
from adumbra.prepare.ready import made_ready, reference_of
from adumbra.progress import Progress, quiet
from adumbra.references import citations
from adumbra.report.reading import read_back, refuse_earlier, write_page, write_reading
from adumbra.results import Findings, Reading
from adumbra.shapes import Modality, Target
from adumbra.space.components import dilated
from adumbra.space.resampling import resampled
from adumbra.uncertainty.maps import summarised

Registration = Literal["auto", "never"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a prediction leaves: the files by kind, and what was found.

    Attributes:
        case: Name of the case.
        maps: Paths of the written maps by name.
        report: Path of the page.
        findings: What the page says.
        scores: Against the truth, where one is known.
    """

    case: str
    maps: Mapping[str, Path]
    report: Path
    findings: Findings
    scores: Mapping[str, float] | None


def predict(
    source: str | Path | Mapping[Modality, Path],
    *,
    out: Path,
    target: Target = "lesion",
    draws: int = 20,
    seed: int = 0,
    threshold: float | None = None,
    peak_threshold: float | None = None,
    weights: str | Path | None = None,
    masks: Mapping[str, Path] | None = None,
    row: str | None = None,
    columns: Mapping[str, str] | None = None,
    b_value: float | None = None,
    adc_unit: str | None = None,
    nan_to_zero: bool = False,
    registration: Registration = "auto",
    overwrite: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    command: str = "",
    progress: Progress = quiet,
) -> Outcome:
    """The whole road: opens a case, outlines a target with its uncertainty, writes maps, manifest and page.

    Args:
        source: What ``cases.catalogue.open_case`` takes; so are ``masks``, ``row``, ``columns``, ``b_value``,
            ``adc_unit``, ``nan_to_zero``.
        out: Folder of the results, a BIDS derivative.
        target: What to outline.
        draws: Of the posterior.
        seed: Of every random choice: the same seed gives the same maps and the same page.
        threshold: Of the mask; None takes the weights' own.
        peak_threshold: Of each part of the mask; None takes the weights' own.
        weights: Shipped weights by name, or a file; None takes those that ship for the target.
        registration: Whether scans on other grids are registered.
        overwrite: Replace what an earlier run wrote.
        device: Where the network runs.
        threads: Of the processor; None leaves them alone.
        command: For the manifest.
        progress: Watches the draws.

    Raises:
        InputRejected: The case cannot be used; the error says why and what to do.
        WeightsRejected: The weights cannot be used, or do not know the target.
        OutputRefused: Results are there already, or cannot be written.
    """
    clock = Clock()
    with clock.at("open"):
        network = load(target if weights is None else weights)
        case = open_case(
            source,
            row=row,
            columns=columns,
            nan_to_zero=nan_to_zero,
            masks=masks,
            b_value=b_value,
            adc_unit=adc_unit,
        )
        refuse_earlier(out, case.name, target, overwrite=overwrite)
    running = Running(device=device, threads=threads)
    posterior = posterior_of([network], target=target, running=running)
    card = network.card
    cuts = {
        "threshold": card.threshold if threshold is None else threshold,
        "peak_threshold": card.peak_threshold if peak_threshold is None else peak_threshold,
    }
    reading = read(
        case, network, posterior, target=target, draws=draws, seed=seed, **cuts, registration=registration,
        clock=clock, progress=progress,
    )  # fmt: skip
    options = {"target": target, "draws": draws, **cuts, "registration": registration, "device": device}
    about = {"name": card.name, "sha256": card.sha256}
    used = citations(made_ready, UNet, *posterior.methods, summarised, scores)
    run = run_of(reading.case, command=command, seed=seed, weights=about, options=options, clock=clock, references=used)
    written = write_reading(reading, run, out, reference=reference_of(case, target), overwrite=overwrite)
    return Outcome(case.name, written.maps, written.page, reading.findings, reading.scores)


def read(
    case: Case,
    network: LoadedNetwork,
    posterior: Posterior,
    *,
    target: Target,
    draws: int,
    seed: int,
    threshold: float,
    peak_threshold: float = 0.0,
    registration: Registration = "auto",
    clock: Clock | None = None,
    progress: Progress = quiet,
) -> Reading:
    """From an opened case to findings, without touching a file: align, sample, map, find."""
    clock = clock or Clock()
    with clock.at("align"):
        aligned, working = made_ready(
            case,
            target=target,
            modalities=network.network.config.modalities,
            spacing_mm=network.card.spacing_mm,
            registration=registration,
            progress=progress,
        )
        grid, brain = aligned.grid, aligned.masks["brain"].data
    with clock.at("sample and map"):
        volumes = posterior.draws(working, draws, np.random.default_rng(seed))
        on_grid = (np.clip(resampled(volume, working.grid, grid), 0.0, 1.0) for volume in volumes)
        near = dilated(brain, grid, by_mm=BEYOND_BRAIN_MM)
        watched = progress.track(on_grid, what="Drawing from the posterior", total=draws)
        maps, volume_draws = summarised(
            watched, target=target, grid=grid, threshold=threshold, peak_threshold=peak_threshold, within=near
        )
    with clock.at("find"):
        found = findings(maps, volume_draws, brain=near)
        truth = aligned.truth(target)
        score = None if truth is None else scores(maps.mask, truth.data, grid)
    return Reading(replace(aligned, provenance=working.provenance), maps, volume_draws, found, score)


def report(directory: Path, *, overwrite: bool = True) -> tuple[Path, ...]:
    """Makes the page of every case in a folder of predictions again, from what was written there.

    Raises:
        MissingInput: There is no finished prediction in the folder.
        OutputRefused: A page is there and must not be replaced.
    """
    return tuple(write_page(reading, run, directory, overwrite=overwrite) for reading, run in read_back(directory))
