"""The road of one case, from the scanner's files to the page that is read: open, align, sample, map, find, write.

open      files -> Case, each scan on its own grid                               adumbra.cases
align     all scans on the grid of one of them, with a brain mask                adumbra.preprocessing
sample    draws from the posterior, one probability volume at a time             adumbra.posterior
map       running sums: probability, entropies, variance; a volume per draw      adumbra.uncertainty
find      what a reader wants to know, with intervals; where to look             adumbra.clinic
write     maps on the native grid, a manifest, a page                            adumbra.report
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from adumbra.cases.registry import open_case
from adumbra.clinic.findings import findings
from adumbra.core.case import Case
from adumbra.core.geometry.components import dilated
from adumbra.core.geometry.resampling import resampled
from adumbra.core.progress import Progress, quiet
from adumbra.core.provenance import StageTimer, run_record
from adumbra.core.references import citations
from adumbra.core.results import Curves, Estimate, Findings, Maps, Prediction, VolumeDraws
from adumbra.core.types import Modality, Target
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.evaluation.uncertainty.curves import curves
from adumbra.evaluation.uncertainty.quality import case_quality
from adumbra.fusion.two_pass import TwoPassPosterior
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.inference.protocols import Posterior
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import LoadedNetwork, load
from adumbra.networks.unet import UNet
from adumbra.posterior.attention_maps import attention_of, attention_on_grid
from adumbra.posterior.registry import default_posterior, posterior_of
from adumbra.preprocessing.pipeline import preprocess, reference_modality
from adumbra.report.prediction_files import read_predictions, refuse_earlier, write_page, write_prediction
from adumbra.uncertainty.calibration.io import Calibration, read_calibration, require_for
from adumbra.uncertainty.maps import summarised
from adumbra.uncertainty.regional import DrawMasks, regional_uncertainty

Registration = Literal["auto", "never"]
MOST_DRAWS = 200
"""Where ``draws="auto"`` gives up."""


@dataclass(frozen=True, eq=False)
class PredictionOutcome:
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
    posterior: str = "",
    draws: int | Literal["auto"] = 20,
    standard_error: float = 0.01,
    seed: int = 0,
    threshold: float | None = None,
    high_threshold: float | None = None,
    weights: str | Path | Sequence[str | Path] | None = None,
    calibration: Path | Literal["beside", "none"] = "beside",
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
) -> PredictionOutcome:
    """The whole road: opens a case, outlines a target with its uncertainty, writes maps, manifest and page.

    Args:
        source: What ``cases.registry.open_case`` takes; so are ``masks``, ``row``, ``columns``, ``b_value``,
            ``adc_unit``, ``nan_to_zero``.
        out: Folder of the results, a BIDS derivative.
        target: What to outline.
        posterior: A name of ``posterior.registry.POSTERIORS``; empty takes the one that the weights were made for.
        draws: Of the posterior; ``"auto"`` draws until the standard error is reached.
        standard_error: That ``"auto"`` asks for, see ``uncertainty.maps.summarised``.
        seed: Of every random choice: the same seed gives the same maps and the same page.
        threshold: Of the mask; None takes the weights' own.
        high_threshold: Of each part of the mask; None takes the weights' own.
        weights: Shipped weights by name, or a file; several are an ensemble. None takes those that ship for the target.
        calibration: A file of ``adumbra calibrate``; ``"beside"`` takes the one beside the weights, where there is one.
        registration: Whether scans on other grids are registered.
        overwrite: Replace what an earlier run wrote.
        device: Where the network runs.
        threads: Of the processor; None leaves them alone.
        command: For the manifest.
        progress: Watches the draws.

    Raises:
        InputRejected: The case cannot be used; the error says why and what to do.
        WeightsRejected: Weights or calibration cannot be used, do not know the target, or do not go together.
        OutputRefused: Results are there already, or cannot be written.
    """
    clock = StageTimer()
    with clock.at("open"):
        networks = [load(name) for name in _listed(target if weights is None else weights)]
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
    inference = InferenceConfig(device=device, threads=threads)
    drawn_from = posterior_of(networks, posterior, target=target, inference=inference)
    card = networks[0].card
    name = posterior or default_posterior(networks[0])
    calibrated = _calibration(calibration, networks, target=target, posterior=name)
    thresholds = {
        "threshold": card.threshold if threshold is None else threshold,
        "high_threshold": card.high_threshold if high_threshold is None else high_threshold,
    }
    reading = read(
        case, networks[0], drawn_from, target=target, draws=draws, standard_error=standard_error, seed=seed, **thresholds,
        calibration=calibrated, registration=registration, clock=clock, progress=progress,
    )  # fmt: skip
    made = {"draws": reading.maps.draws, "threshold": reading.maps.threshold}
    made |= {"high_threshold": reading.maps.high_threshold}
    options = {"target": target, "posterior": name, "state": drawn_from.state, **made}
    options |= {"registration": registration, "device": device}
    options["calibration"] = None if calibrated is None else calibrated.as_json()
    about = {"name": card.name, "sha256": card.sha256}
    used = citations(
        preprocess, UNet, *drawn_from.methods, summarised, regional_uncertainty, *_methods(calibrated), scores
    )
    run = run_record(
        reading.case, command=command, seed=seed, weights=about, options=options, clock=clock, references=used
    )
    written = write_prediction(reading, run, out, reference=reference_modality(case, target), overwrite=overwrite)
    return PredictionOutcome(case.name, written.maps, written.page, reading.findings, reading.scores)


def read(
    case: Case,
    network: LoadedNetwork,
    posterior: Posterior,
    *,
    target: Target,
    draws: int | Literal["auto"],
    seed: int,
    threshold: float,
    high_threshold: float = 0.0,
    standard_error: float = 0.01,
    calibration: Calibration | None = None,
    registration: Registration = "auto",
    clock: StageTimer | None = None,
    progress: Progress = quiet,
) -> Prediction:
    """From an opened case to findings, without touching a file: align, sample, map, find."""
    clock = clock or StageTimer()
    most, asked = (MOST_DRAWS, standard_error) if draws == "auto" else (draws, 0.0)
    if calibration is not None:
        threshold, high_threshold = calibration.moved(threshold), calibration.moved(high_threshold)
    with clock.at("align"):
        aligned, working = preprocess(
            case,
            target=target,
            modalities=network.network.config.modalities,
            spacing_mm=network.card.spacing_mm,
            registration=registration,
            progress=progress,
        )
        grid, brain = aligned.grid, aligned.masks["brain"].data
    with clock.at("sample and map"):
        seen = posterior.doubted(working) if isinstance(posterior, TwoPassPosterior) else working
        volumes = posterior.draws(seen, most, np.random.default_rng(seed))
        on_grid = (np.clip(resampled(volume, working.grid, grid), 0.0, 1.0) for volume in volumes)
        if calibration is not None:
            on_grid = (calibration.apply(volume) for volume in on_grid)
        near = dilated(brain, grid, by_mm=BEYOND_BRAIN_MM)
        watched = progress.track(on_grid, what="Drawing from the posterior", total=most)
        draw_masks = DrawMasks()
        maps, volume_draws = summarised(
            watched, target=target, grid=grid, threshold=threshold, high_threshold=high_threshold, within=near,
            standard_error=asked, draw_masks=draw_masks,
        )  # fmt: skip
        heard = attention_of(posterior, seen)
        heard = None if heard is None else attention_on_grid(heard, working.grid, grid, within=near)
    with clock.at("find"):
        regional = regional_uncertainty(maps, volume_draws, draw_masks)
        interval, said = calibrated_interval(volume_draws, calibration)
        found = findings(maps, volume_draws, brain=near, regional=regional, calibrated_interval=interval)
        found = replace(found, notes=(*found.notes, *said))
    with clock.at("judge"):
        score, lines = _judged(aligned, maps, volume_draws, found)
    return Prediction(replace(aligned, provenance=working.provenance), maps, volume_draws, found, score, lines, heard)


def _judged(
    case: Case, maps: Maps, draws: VolumeDraws, found: Findings
) -> tuple[Mapping[str, float] | None, Curves | None]:
    """The mask and its uncertainty against the truth, where one is known."""
    truth = case.truth(maps.target)
    if truth is None:
        return None, None
    lines = curves(case_quality(maps, draws, truth.data, case.masks["brain"].data, found.volume_ml))
    return scores(maps.mask, truth.data, maps.grid), lines


def calibrated_interval(draws: VolumeDraws, calibration: Calibration | None) -> tuple[Estimate | None, tuple[str, ...]]:
    """The calibrated interval of the volume, where there is one for so many draws; and what must be said if not."""
    if calibration is None or calibration.volume is None:
        return None, ()
    if calibration.volume.draws != len(draws.volumes_ml):
        return None, (
            f"The interval is that of the draws: the calibrated one is for {calibration.volume.draws} draws.",
        )
    drawn = calibration.cases and all("phantom" in name for name in calibration.cases)
    said = ("The interval was calibrated on phantoms, simulated strokes, and not on patients.",) if drawn else ()
    return calibration.volume.interval(draws), said


def _listed(weights: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [weights] if isinstance(weights, str | Path) else weights


def _calibration(
    which: Path | Literal["beside", "none"], networks: Sequence[LoadedNetwork], *, target: str, posterior: str
) -> Calibration | None:
    """The calibration that was asked for, refused where it is of something else."""
    path = networks[0].calibration if which == "beside" else which
    if path is None or which == "none" or (which == "beside" and len(networks) > 1):
        return None
    found = read_calibration(Path(path))
    weights = tuple(network.card.sha256 for network in networks)
    if which == "beside" and posterior != found.posterior:
        return None  # the one beside the weights is for the posterior that they were made for
    require_for(found, target=target, posterior=posterior, weights=weights)
    return found


def _methods(calibration: Calibration | None) -> tuple[object, ...]:
    """The classes whose papers a manifest names."""
    if calibration is None:
        return ()
    return tuple(type(part) for part in (calibration.probability, calibration.volume) if part is not None)


def report(directory: Path, *, overwrite: bool = True) -> tuple[Path, ...]:
    """Makes the page of every case in a folder of predictions again, from what was written there.

    Raises:
        MissingInput: There is no finished prediction in the folder.
        OutputRefused: A page is there and must not be replaced.
    """
    return tuple(
        write_page(reading, run, directory, overwrite=overwrite) for reading, run in read_predictions(directory)
    )
