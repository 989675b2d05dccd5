"""``adumbra calibrate``: probabilities that mean what they say, and intervals that hold, from held-out cases."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from adumbra.cli.options import DEFAULT_OUTPUT, OK, RESEARCH_USE, Count, Device, Flag, From0, OutputOptions
from adumbra.cli.train import NO_PHANTOMS, PhantomOptions, cases_of
from adumbra.core.errors import OutputRefused


def calibrate(
    *,
    data: Path | None = None,
    out: Annotated[Path, Parameter(alias="-o")],
    target: Literal["lesion", "thrombus"] = "lesion",
    weights: Annotated[list[str] | None, Parameter(negative=())] = None,
    posterior: str = "",
    method: Literal["temperature", "vector", "isotonic"] = "isotonic",
    alpha: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.1,
    draws: Count = 20,
    seed: From0 = 0,
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    device: Device = "auto",
    threads: Count | None = None,
    overwrite: Flag = False,
    drawn: PhantomOptions = NO_PHANTOMS,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Fit a calibration on cases that the weights were not trained on, for adumbra predict --calibration.

    Three things are fitted: a map from probability to calibrated probability; the threshold under which a mask misses
    at most a share alpha of the target, on average; and an interval of the volume that holds the true one in a share
    1 - alpha of cases. A file called WEIGHTS.calibration.json beside WEIGHTS.safetensors is used without being named.

    Args:
        data: Held-out cases with their outlines: BIDS, ISLES'22, or a CSV manifest.
        out: The file to write, ending in .json.
        target: What the weights outline.
        weights: Shipped weights by name, or a file; may be repeated for an ensemble. Those of the target by default.
        posterior: What is drawn from; what the weights were made for by default.
        method: Of the map: one temperature, gain and shift, or any that never falls.
        alpha: Share that may be missed.
        draws: Samples of each case; the interval of the volume is for so many.
        seed: Of every random choice.
        registration: Bring scans onto each other by rigid registration where that helps.
        device: Where the network runs.
        threads: Processor threads to use; all by default.
        overwrite: Replace that file.
    """
    if out.exists() and not overwrite:
        raise OutputRefused(out.name, expected="a new file", found="one of that name", do="add --overwrite")
    from adumbra.experiments.calibration import calibrated
    from adumbra.inference.windowed_inference import InferenceConfig
    from adumbra.uncertainty.calibration.io import write_calibration

    found = calibrated(
        cases_of(data, drawn),
        target=target,
        weights=weights or [target],
        posterior=posterior,
        method=method,
        alpha=alpha,
        draws=draws,
        seed=seed,
        registration="auto" if registration else "never",
        inference=InferenceConfig(device=device, threads=threads),
        progress=manner.watch(),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_calibration(out, found)
    told = found.as_json() | {"calibration": out, "sha256": sha256}
    lines = [f"Calibration: {out}", f"Fitted on {len(found.cases)} cases; do not judge it on these."]
    if found.threshold is not None:
        options = f"--threshold {found.threshold.threshold:.3g} --peak-threshold 0"
        lines.append(f"With {options} a mask misses at most {alpha:.0%} of the target, on average over cases.")
    manner.answer(told, *lines, RESEARCH_USE)
    return OK
