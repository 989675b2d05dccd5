"""Makes one small example of every file that Adumbra 0.1.0 (commit 11fe2c2, before the renames) reads back.

Run with that version's Python, and nothing else on the path:

    OMP_NUM_THREADS=1 PYTHONPATH=CHECKOUT/tests python REGENERATE.py [FOLDER]

Everything is drawn from fixed seeds, on one thread in float32. Only clocks differ between runs: ``hours`` of a card
(and so its sha256), ``seconds`` of a checkpoint, ``timings_s`` of a run.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import nibabel as nib
import numpy as np
import torch
from adumbra.fusion.regularise import Blur, Regulariser
from adumbra.networks.catalogue import load
from adumbra.posterior.catalogue import natural, posterior_of
from adumbra.posterior.run import Running
from adumbra.report.reading import read_back
from adumbra.study.calibrate import METHODS, calibrated
from adumbra.uncertainty.calibrate import LocalTemperature
from adumbra.uncertainty.conformal import ControlledThreshold, VolumeInterval
from adumbra.uncertainty.saved import Calibration, read_calibration, write_calibration
from safetensors import safe_open

from adumbra import road
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import read_weights, save_weights
from adumbra.training.config import CrossFit, TrainConfig, network_for
from adumbra.training.loop import train
from training.blobs import BlobRef, blob_case

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent).resolve()
EXACT = Running(precision="f32", threads=1)
TWO, THREE = ("dwi", "adc"), ("dwi", "adc", "flair")
BLOBS = [BlobRef(n) for n in range(3)]


@dataclass(frozen=True)
class ThreeRef:
    """A blob case with FLAIR, whose scans have hashes as those of files have; with noise it is hard to outline."""

    seed: int
    noise: float = 0.0
    modalities: tuple[str, ...] = THREE

    @property
    def name(self) -> str:
        return f"sub-{self.seed:03d}"

    def open(self):
        case, scans = blob_case(self.seed, modalities=self.modalities), {}
        rng, brain = np.random.default_rng([self.seed, 1]), case.masks["brain"].data
        for m, scan in case.scans.items():
            spread = np.float32(self.noise * scan.data[brain].std())
            data = scan.data + spread * rng.standard_normal(scan.data.shape, dtype=np.float32) * brain
            scans[m] = replace(scan, data=data, sha256=hashlib.sha256(data.tobytes()).hexdigest())
        return replace(case, scans=scans)


def config(**changes) -> TrainConfig:
    """A training of a second."""
    usual = {
        "network": UNetConfig(modalities=TWO, widths=(2, 4, 4), dropout=0.1), "steps": 12, "batch": 2, "patch": 16,
        "learning_rate": 1e-2, "warmup": 2, "average": 0.9, "held_out": 1, "threads": 1, "workers": 1, "checkpoint_every": 100,
        "validate_every": 100, "precision": "f32",
    }  # fmt: skip
    made = TrainConfig(**(usual | changes))
    return replace(made, network=network_for(made.posterior, made.network))


# ---------------------------------------------------------------- weights


def finished(path: Path, weights: Path, **cut) -> None:
    """As trainings/finish.py leaves weights: thresholds and a window on the card, a .json beside."""
    tensors, card = read_weights(weights)
    about = {k: v for k, v in asdict(card).items() if k not in ("name", "sha256")} | cut
    with safe_open(weights, framework="pt") as file:  # a fitted state keeps its precision
        tensors |= {k: file.get_tensor(k) for k in file.keys() if k.startswith("posterior/")}
    sha256 = save_weights(path, tensors, about)
    path.with_suffix(".json").write_text(json.dumps({"sha256": sha256, **about}, indent=1) + "\n", "utf-8")


def make_weights(out: Path, work: Path) -> None:
    out.mkdir()
    unet = UNetConfig(modalities=TWO, widths=(4, 8, 8), dropout=0.1)
    cut = {"threshold": 0.1, "peak_threshold": 0.2, "window": 16}
    finished(out / "unet.safetensors", train(BLOBS, work / "unet", config(network=unet, steps=40)).weights, **cut)
    kinds = {
        "laplace": config(posterior="laplace", network=UNetConfig(TWO, widths=(2, 4, 4), dropout=(0.05, 0.1, 0.1))),
        "swag": config(posterior="swag", steps=44),
        "variational": config(posterior="variational"),
        "logit-noise": config(posterior="stochastic-segmentation"),
        "late-average": config(network=LateAverageConfig(modalities=TWO, widths=(2, 4, 4), dropout=0.1)),
        # With attention and an encoder for each modality, so that every name of a tensor occurs somewhere.
        "mask-denoiser": config(
            network=MaskDenoiserConfig(TWO, widths=(2, 4, 4), dropout=0.1, windows=(None, 1, None), shared=False)
        ),
    }
    for name, how in kinds.items():
        shutil.copyfile(train(BLOBS, work / name, how).weights, out / f"{name}.safetensors")
    # A guided training, all of whose options are used: its card tells them. Its first network is beside it.
    network = CrossModalConfig(THREE, widths=(4, 8, 8), dropout=0.2, windows=(1, 2, 0), guided=True, primary="dwi")
    guided = config(
        network=network, guide="uncertainty", cross=CrossFit(folds=2, steps=30, draws=2), softening="smoothed",
        missing_ramp=0.5, steps=200, spacing_mm=4.0, patch=8, hardest=0.02,
        regulariser=Regulariser(weight=0.1, before=0.1, blur=Blur("focused", 4.0), learns="velocity"),
    )  # fmt: skip
    weights = train([ThreeRef(n, 1.0) for n in range(4)], work / "crossmodal", guided).weights
    finished(out / "crossmodal.safetensors", weights, **cut | {"window": 8})
    shutil.copyfile(weights.with_name("weights.first.safetensors"), out / "crossmodal.first.safetensors")


def fixed_input(config) -> tuple[torch.Tensor, torch.Tensor]:
    """A ramp from -2 to 2 for the modalities and, of a guided network, one from 0 to 1 for the maps of doubt."""
    parts = [(len(config.modalities), -2.0, 2.0), (config.doubt_channels, 0.0, 1.0)]
    ramps = [torch.linspace(low, high, n * 16**3).reshape(1, n, 16, 16, 16) for n, low, high in parts if n]
    return torch.cat(ramps, dim=1), torch.ones(1, len(config.modalities))


def told(values) -> dict:
    values = np.asarray(values, dtype=np.float64)
    return {"mean": round(float(values.mean()), 5), "std": round(float(values.std()), 5)}


def expected_weights(path: Path) -> dict:
    loaded = load(path)
    with torch.inference_mode():
        logits = loaded.network(*fixed_input(loaded.network.config))
    found = {"card": asdict(loaded.card), "probability": told(logits.sigmoid()), "natural": natural(loaded)}
    found["plain_is_unet"], found["has_first"] = loaded.plain is not None, loaded.first is not None
    found["calibration_beside"] = loaded.calibration and loaded.calibration.name
    found["fitted"] = sorted(loaded.fitted)
    found["tensors"] = tensors_of(path)
    posterior = posterior_of([loaded], running=EXACT)
    found["state"] = dict(posterior.state)
    if loaded.card.spacing_mm == 2.0:  # that of blob_case
        case = blob_case(9, side=16)
        found["draws"] = [told(v) for v in posterior.draws(case, 2, np.random.default_rng(0))]
        found["draws_of"] = "posterior_of([load(path)], running=Running(precision='f32', threads=1)).draws(" \
            "blob_case(9, side=16), 2, np.random.default_rng(0))"
    return found


def tensors_of(path: Path) -> dict:
    """What a file of tensors holds: a hash with names, and one that does not depend on them."""
    with safe_open(path, framework="pt") as file:
        hashes = {k: hashlib.sha256(file.get_tensor(k).numpy().tobytes()).hexdigest() for k in sorted(file.keys())}
    return {
        "count": len(hashes),
        "sha256_of_names_and_values": hashlib.sha256(json.dumps(hashes).encode()).hexdigest(),
        "sha256_of_values": hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest(),
    }


# ---------------------------------------------------------------- calibration


def make_calibrations(out: Path, weights: Path) -> dict:
    """Fitted as ``adumbra calibrate`` fits, one file a method; the local one only the library can fit and read."""
    out.mkdir()
    about = {"target": "lesion", "draws": 3, "alpha": 0.25, "running": EXACT, "registration": "never"}
    made = {}
    for method in METHODS:
        name = "lesion" if method == "isotonic" else method
        made[name] = calibrated([ThreeRef(n, 0.8, TWO) for n in range(3)], weights=[weights / "unet.safetensors"], method=method, **about)
    names = tuple(made["lesion"].cases)
    local = LocalTemperature((0.8, 1.2, 1.5, 2.0), (-4.0, 0.0, 4.0), cases=names)
    interval = VolumeInterval("lesion", 1.5, 0.9, "upper", 3, 0.1, 0.1, cases=names)
    threshold = ControlledThreshold(0.2, 0.1, 0.09, cases=names)
    of = made["lesion"]
    made["local"] = Calibration("lesion", "dropout", 3, of.weights, local, threshold, interval, of.cases)
    made["none"] = Calibration("lesion", "dropout", 3, of.weights, None, None, None, {"sub-1": "ab" * 32, "sub-2": ""})
    for name, calibration in made.items():
        write_calibration(out / f"{name}.calibration.json", calibration)
    beside = calibrated([ThreeRef(n, 1.5) for n in range(4)], weights=[weights / "crossmodal.safetensors"], method="vector", **about | {"alpha": 0.2})  # fmt: skip
    write_calibration(weights / "crossmodal.calibration.json", beside)
    return {f"calibration/{name}.calibration.json": None for name in made} | {"weights/crossmodal.calibration.json": None}


def expected_calibration(path: Path) -> dict:
    found = read_calibration(path)
    plain = {"target": found.target, "posterior": found.posterior, "draws": found.draws, "weights": list(found.weights)}
    plain["cases"] = dict(found.cases)
    for part in ("probability", "threshold", "volume"):
        fitted = getattr(found, part)
        plain[part] = None if fitted is None else {"class": type(fitted).__name__, **asdict(fitted)}
    p = np.array([0.1, 0.5, 0.9])
    if path.name.startswith("local"):
        bands = np.array([0, 1, 3])
        plain["probability.apply([0.1, 0.5, 0.9], bands=[0, 1, 3])"] = found.probability.apply(p, bands=bands).tolist()
    else:
        plain["apply([0.1, 0.5, 0.9])"] = found.apply(p).tolist()
        plain["moved(0.5)"] = found.moved(0.5)
    return plain


# ---------------------------------------------------------------- prediction


def make_prediction(out: Path, weights: Path, work: Path) -> None:
    """A case of 14 by 12 by 10 voxels of 4 by 4 by 5 mm, stored towards left and back, predicted by the guided network."""
    work.mkdir()
    rng = np.random.default_rng(7)
    shape = (14, 12, 10)
    c, s = np.cos(np.radians(8.0)), np.sin(np.radians(8.0))
    affine = np.array([[-4.0, 0, 0, 26], [0, -4 * c, -5 * s, 26], [0, -4 * s, 5 * c, -19], [0, 0, 0, 1]])
    index = np.stack(np.indices(shape), axis=-1)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    brain = (points**2).sum(axis=-1) < 20.0**2
    lesion = ((points - np.array([-7.0, 4.0, 2.0])) ** 2).sum(axis=-1) < 8.0**2
    values = {"dwi": 100 + 200 * lesion, "adc": 0.8 - 0.4 * lesion, "flair": 80 + 40 * lesion}
    noise = {"dwi": 15, "adc": 0.05, "flair": 10}
    data = {m: ((values[m] + rng.normal(0, noise[m], shape)) * brain).round(2).astype(np.float32) for m in THREE}
    files = {}
    for name, volume in (data | {"lesion": lesion.astype(np.uint8), "brain": brain.astype(np.uint8)}).items():
        files[name] = work / f"sub-01_{name}.nii.gz"
        image = nib.Nifti1Image(volume, affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, files[name])
    masks = {name: files.pop(name) for name in ("lesion", "brain")}
    road.predict(
        files, masks=masks, out=out, weights=weights / "crossmodal.safetensors", draws=3, seed=4, registration="never",
        threads=1, threshold=0.3, peak_threshold=0.36, b_value=1000.0, adc_unit="1e-3 mm2/s",
        command="adumbra predict --dwi sub-01_dwi.nii.gz --out prediction",
    )  # fmt: skip
    for page in out.glob("*.html"):
        page.unlink()  # adumbra report makes it again


def expected_prediction(out: Path) -> dict:
    ((reading, run),) = read_back(out)
    maps, heard, options = reading.maps, reading.listening, dict(run.options)
    regional = reading.findings.regional
    return {
        "case": reading.case.name,
        "scans": list(reading.case.scans),
        "masks": {name: int(scan.data.sum()) for name, scan in reading.case.masks.items()},
        "shape": list(maps.grid.shape),
        "axcodes": "".join(maps.grid.axcodes),
        "maps": {n: told(getattr(maps, n)) for n in ("probability", "entropy", "aleatoric", "epistemic", "variance")},
        "mask_voxels": int(maps.mask.sum()),
        "threshold": maps.threshold,
        "peak_threshold": maps.peak_threshold,
        "draws": asdict(reading.draws),
        "volume_ml": asdict(reading.findings.volume_ml),
        "components": asdict(reading.findings.components),
        "regions": len(reading.findings.regions),
        "first_region": asdict(reading.findings.regions[0]) if reading.findings.regions else None,
        "notes": list(reading.findings.notes),
        "regional": {"case": asdict(regional.case), "components": len(regional.components), "reach_mm": regional.reach_mm,
                     "draws": regional.draws, "kept": regional.kept},
        "scores": dict(reading.scores),
        "curves": {n: [len(x), round(float(np.nansum(x)), 5), round(float(np.nansum(y)), 5)]
                   for n, (x, y) in vars(reading.curves).items()},
        "listening": {"primary": heard.primary, "shares": {m: told(v) for m, v in heard.shares.items()},
                      "opened": told(heard.opened)},
        "run": {"seed": run.seed, "weights": dict(run.weights), "state": options["state"], "posterior": options["posterior"],
                "references": list(run.references), "conversions": len(run.conversions), "inputs": dict(run.inputs)},
        "attention_outputs": sorted(name for name in run.outputs if "attention" in name),
    }  # fmt: skip


# ---------------------------------------------------------------- interrupted trainings


class Interrupted:
    """Lets the main training do so many steps and then stops it, as Ctrl-C would."""

    def __init__(self, total: int, steps: int) -> None:
        self.total, self.steps = total, steps

    def track(self, items, *, what, total=None):
        for number, item in enumerate(items):
            if what == "Training" and total == self.total and number == self.steps:
                raise KeyboardInterrupt
            yield item


TRAININGS = {
    # name: config, cases, steps after which it is stopped (the checkpoint is at an earlier one)
    "training": (
        config(
            network=UNetConfig(TWO, widths=(2, 4), dropout=0.1), steps=4, checkpoint_every=2, spacing_mm=5.0, patch=8
        ), 3, 3,
    ),
    "training-guided": (
        config(
            network=CrossModalConfig(TWO, widths=(2, 4), dropout=0.1, windows=(1, 2), guided=True),
            guide="uncertainty", cross=CrossFit(folds=2, steps=3, draws=2), softening="weighted", missing_ramp=0.5,
            regulariser=Regulariser(weight=0.1, before=0.25, blur=Blur("focused", 4.0)),
            steps=4, checkpoint_every=2, spacing_mm=5.0, patch=8,
        ), 3, 3,
    ),
    "training-swag": (
        config(
            network=UNetConfig(TWO, widths=(2, 2), dropout=0.1), posterior="swag", steps=44, checkpoint_every=35,
            spacing_mm=5.0, patch=8,
        ), 2, 36,
    ),
}  # fmt: skip


def make_training(out: Path, how: TrainConfig, cases: int, steps: int) -> None:
    try:
        train(BLOBS[:cases], out, how, progress=Interrupted(how.steps, steps))
    except KeyboardInterrupt:
        tidy(out)
        return
    raise SystemExit(f"{out}: it was not interrupted")


def tidy(out: Path) -> None:
    """Without what is not read back: TensorBoard's events, locks."""
    for events in out.rglob("events"):
        shutil.rmtree(events)
    for lock in out.rglob(".lock"):
        lock.unlink()


def volumes_of(path: Path) -> dict:
    with safe_open(path, framework="np") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def expected_training(folder: Path, how: TrainConfig, cases: int, work: Path) -> dict:
    """Resumed in a copy: what it reaches."""
    with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
        state, keys = json.loads(file.metadata()["state"]), sorted(file.keys())
    copy = work / f"{folder.name}-resumed"
    shutil.copytree(folder, copy)
    before = {p: p.read_bytes() for p in copy.rglob("*.safetensors") if p.name != "checkpoint.safetensors"}
    result = train(BLOBS[:cases], copy, how)
    assert all(p.read_bytes() == data for p, data in before.items()), "what was there was made again"
    uninterrupted = work / f"{folder.name}-whole"
    whole = train(BLOBS[:cases], uninterrupted, how)
    assert tensors_of(whole.weights) == tensors_of(result.weights), "it depends on the interruption"
    loaded = load(result.weights)
    with torch.inference_mode():
        probability = loaded.network(*fixed_input(loaded.network.config)).sigmoid()
    log = [json.loads(line) for line in (copy / "log.jsonl").read_text().splitlines()]
    return {
        "cases": [ref.name for ref in BLOBS[:cases]],
        "train_config": asdict(how),
        "checkpoint_step": state["step"],
        "checkpoint_keys": {"count": len(keys), "prefixes": sorted({k.partition("/")[0] for k in keys})},
        "log_lines_there": len((folder / "log.jsonl").read_text().splitlines()),
        "weights_file_sha256_here": result.sha256,
        "weights": tensors_of(result.weights),
        "first": tensors_of(copy / "weights.first.safetensors") if (copy / "weights.first.safetensors").exists() else None,
        "probability": told(probability),
        "scores": result.scores and asdict(result.scores),
        "log_steps": [line["step"] for line in log],
        "log_last": log[-2:],
        "maps": {
            str(p.relative_to(folder)): {n: told(volume) for n, volume in sorted(volumes_of(p).items())}
            for kind in ("readings", "maps-*") for p in sorted((folder / "first").glob(f"{kind}/sub-000.safetensors"))
        },
        "not_made_again": sorted(str(p.relative_to(copy)) for p in before),
    }


def main() -> None:
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in ("weights", "calibration", "prediction", *TRAININGS):
        shutil.rmtree(OUT / name, ignore_errors=True)
    expected: dict = {"made_by": "adumbra 0.1.0, commit 11fe2c2", "torch": torch.__version__, "numpy": np.__version__}
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_weights(OUT / "weights", work)
        files = make_calibrations(OUT / "calibration", OUT / "weights")
        make_prediction(OUT / "prediction", OUT / "weights", work / "files")
        expected["weights"] = {p.name: expected_weights(p) for p in sorted((OUT / "weights").glob("*.safetensors"))}
        expected["calibration"] = {name: expected_calibration(OUT / name) for name in files}
        expected["prediction"] = expected_prediction(OUT / "prediction")
        for name, (how, cases, steps) in TRAININGS.items():
            make_training(OUT / name, how, cases, steps)
            results[name] = expected_training(OUT / name, how, cases, work)
            (OUT / name / "training-result.json").write_text(json.dumps(results[name], indent=1) + "\n", "utf-8")
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1, allow_nan=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
