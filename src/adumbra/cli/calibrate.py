"""``adumbra calibrate``: fits calibrated probabilities and volume intervals on held-out cases."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from adumbra.cli.options import DEFAULT_OUTPUT, OK, RESEARCH_USE, Count, Flag, NonNegative, OutputOptions
from adumbra.cli.phantoms import NO_PHANTOMS, PhantomOptions, input_cases
from adumbra.core.errors import OutputRefused
from adumbra.core.options import ComputeConfig, DeviceName, InferenceConfig, TrainedTarget

if TYPE_CHECKING:
    from adumbra.uncertainty.calibration.io import Calibration


def calibrate(
    *,
    data: Path | None = None,
    out: Annotated[Path, Parameter(alias="-o")],
    target: TrainedTarget = "lesion",
    weights: Annotated[list[str] | None, Parameter(negative=())] = None,
    posterior: Annotated[str, Parameter(show_default=False)] = "",
    method: Literal["temperature", "vector", "isotonic"] = "isotonic",
    interval: Literal["auto", "single", "normalised", "quantile", "local"] = "auto",
    alpha: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.1,
    draws: Count = 20,
    seed: NonNegative = 0,
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    device: DeviceName = "auto",
    threads: Count | None = None,
    overwrite: Flag = False,
    phantoms: PhantomOptions = NO_PHANTOMS,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Fit a calibration on held-out cases, for adumbra predict --calibration.

    The cases must not have been used for training. Four things are fitted. The first maps each probability to a
    calibrated one. The second is a threshold: below it, a mask misses on average at most a share alpha of the target.
    The third is an interval of the volume that covers the true volume in a share 1 - alpha of cases. The fourth is the
    meaning of the case score: how often the Dice was below 0.7 in cases with a similar agreement of the members; it
    needs 10 cases. A file called WEIGHTS.calibration.json beside WEIGHTS.safetensors is used by default.

    Args:
        data: Held-out cases with their masks: a BIDS or ISLES'22 data set, or a CSV manifest.
        out: The file to write, ending in .json.
        target: The target that the weights segment.
        weights: Released weights by name, or a file. Repeat it for an ensemble. The target's own weights are the
            default.
        posterior: The posterior to draw from. By default it is the one that the weights were trained for.
        method: The map of probabilities: one temperature, a gain and a shift, or any monotone map.
        interval: The method of the interval: one factor for all cases, a width predicted for each case, quantile
            regression, or local, whose width follows the agreement of the members. auto takes the last from 80 cases
            on, and the best of the others by cross-validation where there are fewer.
        alpha: The share of the target, and of cases, that may be missed.
        draws: Posterior draws of each case. The interval and the case score are valid for this number only.
        seed: Seed of every random choice.
        registration: Align the scans by rigid registration where that improves the match.
        device: The device that runs the network.
        threads: Number of processor threads; all by default.
        overwrite: Replace an existing file.
    """
    if out.exists() and not overwrite:
        raise OutputRefused(out.name, expected="a new file", found="one of that name", do="add --overwrite")
    from adumbra.experiments.calibration import calibrate
    from adumbra.uncertainty.calibration.io import write_calibration

    calibration = calibrate(
        input_cases(data, phantoms),
        target=target,
        config=InferenceConfig(
            weights=weights,
            posterior=posterior,
            draws=draws,
            seed=seed,
            registration="auto" if registration else "never",
            compute=ComputeConfig(device=device, threads=threads),
        ),
        method=method,
        interval=interval,
        alpha=alpha,
        progress=output.progress_display(),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_calibration(out, calibration)
    lines = [
        f"Calibration: {out}",
        f"It was fitted on {len(calibration.cases)} cases. Evaluate it on other cases.",
    ]
    if calibration.threshold is not None:
        options = f"--threshold {calibration.threshold.threshold:.3g} --high-threshold 0"
        lines.append(f"With {options} a mask misses at most {alpha:.0%} of the target, on average over cases.")
    lines += _volume_and_score(calibration)
    output.print_result(
        calibration.as_json(features=False) | {"calibration": out, "sha256": sha256}, *lines, RESEARCH_USE
    )
    return OK


def _volume_and_score(calibration: "Calibration") -> list[str]:
    """The method of the interval with the scores of its choice, and the blocks of the case score."""
    lines = []
    if calibration.volume is not None:
        scores = ", ".join(f"{name} {score:.2f}" for name, score in calibration.winkler.items())
        chosen = f", by the cross-validated Winkler score ({scores}; lower is better)" if scores else ""
        lines.append(f"Interval of the volume: {type(calibration.volume).__name__}{chosen}.")
    if (score := calibration.score) is not None:
        blocks = zip(score.block_failures, score.block_cases, strict=True)
        shares = ", ".join(f"{failures} of {cases}" for failures, cases in blocks)
        lines.append(f"Cases with a Dice below {score.dice_limit:g}, from the lowest case scores up: {shares}.")
    return lines
