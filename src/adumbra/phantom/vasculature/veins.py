"""The veins of the brain: sinuses, cortical, deep and medullary veins, as a tree towards the jugular veins.

The courses were placed manually on MNI152 after textbook anatomy; their branches grow like those of arteries
(``vessels``). The cortex drains into the superior sagittal sinus, the Sylvian vein and the lateral sinuses; deep white
matter and nuclei drain through medullary veins into the internal cerebral and basal veins.
"""

import numpy as np

from adumbra.phantom.vasculature.arteries import mirror_course, supply_points, vary_course
from adumbra.phantom.vasculature.vessels import Segment, Tree, grow_tree, share_flow

_PAIRED = (
    ("sigmoid_*", "", ((34, -36, -68), (42, -44, -54), (52, -54, -40), (56, -60, -32)), "", 0.0),
    ("transverse_*", "sigmoid_*", ((56, -60, -32), (48, -78, -27), (26, -97, -20), (2, -101, -15)), "cortical_*", 10.0),
    ("Labbe_*", "transverse_*", ((54, -64, -30), (63, -50, -10), (66, -34, 6)), "cortical_*", 4.0),
    ("Sylvian_*", "Labbe_*", ((66, -34, 6), (62, -12, 4), (54, 10, -2), (42, 22, -14)), "cortical_*", 4.0),
    ("ICV_*", "Galen", ((0, -38, 12), (2, -28, 15), (2, -14, 17), (3, 2, 13)), "deep_*", 18.0),
    ("thalamostriate_*", "ICV_*", ((3, 2, 13), (10, 4, 17), (15, -6, 22), (21, -22, 24)), "medullary_*", 16.0),
    ("septal_*", "ICV_*", ((3, 2, 13), (5, 14, 14), (12, 26, 12)), "medullary_*", 16.0),
    ("atrial_*", "Galen", ((0, -40, 10), (10, -41, 14), (22, -44, 16), (26, -58, 14)), "medullary_*", 16.0),
    ("Rosenthal_*", "Galen", ((0, -40, 8), (13, -34, -2), (16, -22, -9), (14, -8, -15), (16, 2, -17)), "deep_*", 20.0),
)
_MIDLINE = (
    (
        "SSS",
        "transverse_R",
        ((2, -101, -15), (0, -109, 4), (0, -104, 28), (0, -86, 55), (0, -58, 74), (0, -26, 83), (0, 6, 82), (0, 36, 71),
         (0, 58, 50), (0, 72, 24)),
        "cortical",
        0.0,
    ),
    ("straight", "SSS", ((0, -101, -14), (0, -78, -5), (0, -58, 3), (0, -44, 9)), "cerebellar", 12.0),
    ("Galen", "straight", ((0, -44, 9), (0, -41, 10), (0, -38, 12)), "", 0.0),
)  # fmt: skip
_RADIUS_OF_A_LITRE_MM = 3.0  # gives the superior sagittal sinus a final width of 5 to 6 mm
_COST = {"surface": 1.0, "grey": 2.0, "white": 1.7}  # low in white matter, through which medullary veins run straight


def skeleton(rng: np.random.Generator | None = None) -> tuple[Segment, ...]:
    """The named veins, each after the vein that it drains into.

    Args:
        rng: Source of the variation of the courses, about a millimetre; None for the courses of the atlas.
    """
    sides = [
        Segment(n.replace("*", s), p.replace("*", s), c if s == "R" else mirror_course(c), o.replace("*", s), r)
        for s in "RL"
        for n, p, c, o, r in _PAIRED
    ]
    lateral = [s for s in sides if s.name.startswith(("sigmoid", "transverse", "Labbe", "Sylvian"))]
    inner = [s for s in sides if s not in lateral]
    segments = (*lateral, *(Segment(n, p, c, o, r, midline=True) for n, p, c, o, r in _MIDLINE), *inner)
    return segments if rng is None else tuple(vary_course(rng, s) for s in segments)


def grow_veins(rng: np.random.Generator | None = None) -> Tree:
    """Grows a venous tree in MNI space; its roots are the sigmoid sinuses, and parents lie downstream.

    Args:
        rng: Source of the subject's variation; None for the tree of the atlas.
    """
    supply = supply_points(rng, cost=_COST)
    tree = grow_tree(skeleton(rng), supply, radius_of_a_litre_mm=_RADIUS_OF_A_LITRE_MM)
    torcula, left = int(tree.nodes("SSS")[0]), int(tree.nodes("transverse_L")[-1])
    return share_flow(tree, junction=torcula, other=left, share=0.4 if rng is None else float(rng.beta(3, 5)))
