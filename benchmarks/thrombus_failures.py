"""Pictures of missed clots, of false positives and of poor contours, from a run of ``thrombus_results.py``.

    python benchmarks/thrombus_failures.py --run DIR --phantoms DIR [--weights FILE ...] [--second-look FILE ...]
        [--masks DIR] [--each 3] --picture docs/images/thrombus-failures.jpg

A row of the picture is a case: SWI (the least value of a slab of 6 mm), TOF (the highest), the mean probability of the
posterior (the highest), 64 mm wide, around the middle of the failure. Yellow is the contour of the expert, blue the
predicted mask. The cases are predicted again with the weights of the run. Phantoms are not patients.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from adumbra.core.case import Case
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Prediction
from adumbra.core.types import Mask, Volume
from adumbra.experiments.calibration_samples import model_identity
from adumbra.pipeline import predict_case
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom
from lesion_results import SEED, read_rows
from thrombus_results import REAL, inference

WIDTH_MM, SLAB_MM = 64.0, 6.0
TRUTH_COLOUR, MASK_COLOUR = "#ffd23f", "#40d6ff"
Row = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A case to draw.

    Attributes:
        kind: What failed.
        row: The line of the case.
        what: The clot, or what was called, in words.
    """

    kind: str
    row: Row
    what: str = ""


def failures(rows: Sequence[Row], each: int) -> Iterator[Failure]:
    """The first missed clots, the cases with the most false positives, and the worst contours of detected clots."""
    phantoms = [row for row in rows if row["group"] not in REAL]
    missed = ((row, clot) for row in phantoms for clot in row["visible"] if not clot["detected"])
    for row, clot in list(missed)[:each]:
        yield Failure("missed", row, f"{clot['site']}, {clot['true_mm']:.0f} mm, visible on {clot['visible_on']}")
    most = sorted(phantoms, key=lambda row: -row["scores"]["false_positives"])
    for row in most[:each]:
        if row["scores"]["false_positives"] > 0:
            yield Failure("false positive", row, f"{row['scores']['false_positives']:.0f} in this case")
    hit = [row for row in phantoms if any(clot["detected"] for clot in row["visible"])]
    for row in sorted(hit, key=lambda row: row["scores"]["dice"])[:each]:
        sites = ", ".join(clot["site"] for clot in row["visible"] if clot["detected"])
        yield Failure("poor contour", row, f"{sites}, Dice {row['scores']['dice']:.2f}")


def centre_of(failure: Failure, mask: Mask, truth: Mask) -> np.ndarray:
    """The voxel in the middle of the failure: of the largest component of its kind."""
    lost, excess = unmatched(truth, mask), unmatched(mask, truth)
    region = {"missed": lost, "false positive": excess}.get(failure.kind, truth)
    labels, count = label_components(region if region.any() else truth | mask)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel(), minlength=count + 1)[1:]))
    return np.argwhere(labels == largest).mean(axis=0)


def unmatched(mask: Mask, other: Mask) -> Mask:
    """The components of a mask that do not meet another one."""
    labels, _ = label_components(mask)
    matched = np.unique(labels[other])
    return mask & ~np.isin(labels, matched[matched > 0])


def slab(volume: Volume, grid: Grid, centre: np.ndarray, project: Callable[..., np.ndarray]) -> np.ndarray:
    """The projection of a slab around a voxel along the third axis; anterior is up, the patient's right is left."""
    reach = np.array([WIDTH_MM / 2, WIDTH_MM / 2, SLAB_MM / 2]) / np.array(grid.spacing_mm)
    low = np.maximum(np.round(centre - reach), 0).astype(int)
    high = np.minimum(np.round(centre + reach), np.array(grid.shape) - 1).astype(int) + 1
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return np.asarray(project(volume[x, y, z].astype(np.float32), axis=2))[::-1, ::-1].T


def draw(axes: Sequence[Axes], failure: Failure, prediction: Prediction, truth: Mask) -> None:
    """Draws the row of one case."""
    case, maps = prediction.case, prediction.maps
    centre = centre_of(failure, maps.mask, truth)
    panels = [*image_panels(case, centre), ("probability", slab(maps.probability, maps.grid, centre, np.max), 0.0, 1.0)]
    contours = [
        (slab(mask, maps.grid, centre, np.max), colour)
        for mask, colour in ((truth, TRUTH_COLOUR), (maps.mask, MASK_COLOUR))
    ]
    aspect = maps.grid.spacing_mm[1] / maps.grid.spacing_mm[0]
    for panel, (title, image, low, high) in zip(axes, panels, strict=True):
        panel.imshow(image, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
        for contour_slice, colour in contours:
            if contour_slice.any():
                panel.contour(contour_slice, levels=[0.5], colors=[colour], linewidths=0.9)
        panel.set_title(title, fontsize=7)
        panel.set_axis_off()
    axes[0].set_title(f"{failure.kind}: {failure.what}\n{failure.row['group']} {failure.row['name']}, SWI", fontsize=7)


def image_panels(case: Case, centre: np.ndarray) -> Iterator[tuple[str, np.ndarray, float, float]]:
    """SWI and TOF with their grey levels; black where the sequence is missing."""
    for modality, project in (("swi", np.min), ("tof", np.max)):
        if modality not in case.scans:
            yield f"no {modality.upper()}", np.zeros((2, 2)), 0.0, 1.0
            continue
        data = case.scans[modality].data  # type: ignore[index]  # the keys are literals
        image = slab(data, case.grid, centre, project)
        low, high = np.percentile(image, (1, 99.5))
        yield modality.upper(), image, float(low), float(max(high, low + 1e-6))


def predicted(failure: Failure, model: SegmentationModel, options: argparse.Namespace) -> tuple[Prediction, Mask]:
    """The case predicted again, and its true mask on the grid of the maps."""
    masks = lesion_mask_files(options.masks)
    ref = PhantomRef(SEED, int(failure.row["name"]), masks, failure.row["group"])
    prediction = predict_case(StoredPhantom(ref, options.phantoms).open(), model)
    truth = prediction.case.truth("thrombus")
    assert truth is not None  # every phantom with vessels has the mask
    return prediction, truth.data


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--phantoms", type=Path, required=True)
    parser.add_argument("--weights", nargs="+")
    parser.add_argument("--second-look", nargs="+", help="its weights, or none")
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--picture", type=Path, required=True)
    options = parser.parse_args()
    rows = read_rows(options.run)
    model = load_model("thrombus", inference(options))
    if any(row["identity"] != model_identity(model) for row in rows):
        raise SystemExit(f"{options.run} holds rows of other weights: name them with --weights")
    chosen = list(failures(rows, options.each))
    if not chosen:
        raise SystemExit(f"{options.run} holds no failure")
    mpl.use("Agg")
    figure, axes = plt.subplots(len(chosen), 3, figsize=(6.6, 2.35 * len(chosen)), squeeze=False, layout="constrained")
    for row, failure in zip(axes, chosen, strict=True):
        draw(row, failure, *predicted(failure, model, options))
        print(failure.kind, failure.row["group"], failure.row["name"], failure.what, flush=True)
    figure.savefig(options.picture, dpi=110, pil_kwargs={"quality": 82} if options.picture.suffix == ".jpg" else None)


if __name__ == "__main__":
    main()
