"""Counts the clots that lie in the field of view of SWI and of TOF, with two ways of planning it.

``each sequence``: every sequence has a field of view of its own, and TOF covers the circle of Willis; this is the
phantom. ``whole head``: one head in eight is cut for all sequences at once, and TOF lies where the protocol puts it;
this was the phantom before. A cut head has another stroke than the whole one of the same seed, because its tissue
differs.

A clot lies in a field of view where its middle does. Run:
``OMP_NUM_THREADS=1 python benchmarks/fields_of_view.py [--cases 100] [--preset emergency]``. No image is simulated, and
heads are sampled at 4 mm, so that a case takes one or two processor seconds.
"""

import argparse

import numpy as np

from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.pathology.disease import sample_disease
from adumbra.phantom.presets import preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.acquisition import SliceSampler
from adumbra.phantom.scanner.field_of_view import plan_fields_of_view
from adumbra.phantom.scanner.setup import sample_setup
from adumbra.phantom.vasculature.subject import sample_vasculature

SPACING_MM = 4.0
IMAGES = ("swi", "tof")


def in_view(seed: int, preset_name: str, *, of_sequences: bool) -> np.ndarray | None:
    """Of SWI and of TOF, whether it was acquired and whether its field of view contains a clot; None without a clot.

    Args:
        seed: Seed of the patient.
        preset_name: Name of the preset.
        of_sequences: Whether the field of view belongs to the sequence; otherwise to the head.

    Returns:
        (2, 2) bool: the images, by the two answers.
    """
    preset = preset_named(preset_name)
    head, _ = sample_head(stream(seed, "head"), spacing_mm=SPACING_MM, cut=not of_sequences)
    vessels = sample_vasculature(stream(seed, "vessels"), head)
    setup = sample_setup(stream(seed, "setup"), preset)
    if of_sequences:
        setup = plan_fields_of_view(stream(seed, "field of view"), setup, head.grid, vessels.arteries)
    rng = stream(seed, "disease")
    disease = sample_disease(rng, head, vessels, patterns=preset.patterns, latest_h=preset.latest_h)
    if disease.stroke is None or not disease.stroke.clots:
        return None
    middles = np.array([clot.points_mm[len(clot.points_mm) // 2] for clot in disease.stroke.clots])
    samplers = {name: SliceSampler(head.grid, setup.stacks[name], np.eye(4)) for name in IMAGES}
    return np.array([(name in setup.sequences, sampler.covers(middles).any()) for name, sampler in samplers.items()])


def main() -> None:
    """Prints the table; the shares of one image are those of the examinations that have it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--preset", default="emergency")
    options = parser.parse_args()
    print("field of view of  with a clot  in SWI, of those with SWI  in TOF, of those with TOF  in either, of all")
    for name, of_sequences in (("whole head", False), ("each sequence", True)):
        answers = [in_view(seed, options.preset, of_sequences=of_sequences) for seed in range(options.cases)]
        acquired, covered = np.array([a for a in answers if a is not None]).transpose(2, 1, 0)
        shown = acquired & covered
        swi, tof = (f"{have.sum():3d} of {image.sum():3d}" for image, have in zip(acquired, shown, strict=True))
        print(f"{name:16}  {shown.shape[1]:11d}  {swi:>25}  {tof:>25}  {shown.any(axis=0).sum():17d}")


if __name__ == "__main__":
    main()
