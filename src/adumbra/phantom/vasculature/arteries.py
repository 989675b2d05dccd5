"""The arteries of the brain: their names, courses and variants in MNI space, and the territory of each.

The courses were placed manually on MNI152 after the textbook anatomy of the circle of Willis; their branches grow
(``vessels``). The frequencies of variants are approximate, since published series differ widely: the posterior
communicating artery and the fetal origin after Krabbe-Hartkamp et al., Radiology 1998;207:103; a hypoplastic first
segment of the anterior cerebral artery in 6 of 117 subjects, Tanaka et al., AJNR 2006;27:1770.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from adumbra.phantom.anatomy.template import template
from adumbra.phantom.vasculature.vessels import Segment, Supply, Tree, grow_tree, share_flow

Point = tuple[float, float, float]

# Name, parent, control points on the right side in MNI mm, name of the branches, reluctance. ``*`` is the side.
_PAIRED: tuple[tuple[str, str, tuple[Point, ...], str, float], ...] = (
    ("ICA_*", "", ((27, -26, -72), (25, -22, -56), (20, -14, -46), (15, -8, -36), (13, 4, -30), (13, 8, -22),
                   (13, 0, -13)), "", 0),
    ("M1_*", "ICA_*", ((13, 0, -13), (20, 2, -13), (28, 4, -15), (36, 3, -16)), "M1_*", 20),
    ("M1 perforators_*", "M1_*", ((23, 2, -13), (23, 2, -6), (25, 0, 3), (25, -4, 12)), "M1 perforators_*", 0),
    ("M2 superior_*", "M1_*", ((36, 3, -16), (38, 9, -9), (38, 10, 0), (38, 6, 10), (38, -4, 16)), "M3_*", 0),
    ("M2 inferior_*", "M1_*", ((36, 3, -16), (41, -4, -13), (41, -14, -4), (40, -26, 6), (41, -34, 14)), "M3_*", 0),
    ("M3 frontal_*", "M2 superior_*", ((38, 9, -4), (42, 20, 2), (50, 22, 8)), "M4_*", 0),
    ("M3 central_*", "M2 superior_*", ((38, 2, 13), (46, 2, 14), (57, 0, 12), (61, -4, 22)), "M4_*", 0),
    ("M3 parietal_*", "M2 inferior_*", ((41, -32, 12), (48, -36, 18), (58, -40, 22)), "M4_*", 0),
    ("M3 temporal_*", "M2 inferior_*", ((41, -12, -6), (48, -12, -6), (59, -14, -8)), "M4_*", 0),
    ("A1_*", "ICA_*", ((13, 0, -13), (8, 6, -14), (3, 11, -13)), "A1 perforators_*", 45),
    ("A2_*", "A1_*", ((3, 11, -13), (3, 20, -10), (3, 30, -4), (3, 36, 6)), "A2_*", 8),
    ("A3_*", "A2_*", ((3, 36, 6), (3, 35, 18), (3, 24, 28), (3, 8, 32), (3, -12, 34)), "A3_*", 8),
    ("A3 callosomarginal_*", "A2_*", ((3, 36, 6), (4, 42, 20), (4, 34, 38), (4, 16, 50), (4, -6, 56)), "A3_*", 8),
    ("AChA_*", "ICA_*", ((13, 0, -15), (17, -8, -14), (20, -16, -12), (25, -24, -6)), "AChA_*", 14),
    ("P1_*", "basilar", ((0, -17, -20), (6, -17, -19), (11, -19, -17)), "P1 perforators_*", 8),
    ("P2_*", "P1_*", ((11, -19, -17), (16, -24, -13), (18, -31, -8), (18, -37, -4)), "P2_*", 12),
    ("P3_*", "P2_*", ((18, -37, -4), (17, -46, 0), (14, -58, 4), (11, -74, 6)), "P3_*", 22),
    ("P3 temporal_*", "P2_*", ((18, -34, -6), (26, -42, -13), (32, -56, -14)), "P3_*", 24),
    ("SCA_*", "basilar", ((0, -18, -23), (10, -22, -24), (17, -36, -23), (18, -52, -20)), "SCA_*", 0),
    ("AICA_*", "basilar", ((0, -23, -38), (12, -28, -38), (24, -42, -42)), "AICA_*", 4),
    ("PICA_*", "vertebral_*", ((6, -38, -60), (11, -48, -60), (12, -60, -54)), "PICA_*", 0),
)  # fmt: skip
_VERTEBRAL: tuple[Point, ...] = ((16, -46, -76), (10, -42, -66), (5, -36, -58), (0, -28, -50))
_BASILAR: tuple[Point, ...] = ((0, -28, -50), (0, -24, -42), (0, -20, -32), (0, -17, -20))
_ACOM: tuple[Point, ...] = ((3, 11, -13), (0, 12, -13), (-3, 11, -13))
_PCOM: tuple[Point, ...] = ((13, -1, -15), (12, -9, -16), (11, -19, -17))
# The large arterial territories, with the first word of the names of their segments.
TERRITORIES: dict[str, tuple[str, ...]] = {
    "ACA": ("A1", "A2", "A3"),
    "MCA": ("M1", "M2", "M3", "M4"),
    "PCA": ("P1", "P2", "P3"),
    "AChA": ("AChA",),
    "vertebrobasilar": ("basilar", "vertebral", "SCA", "AICA", "PICA"),
}
# Share of the cerebral blood flow in the arteries of both sides by phase-contrast MRI (Zarrinkoob et al., J Cereb Blood
# Flow Metab 2015;35:648), without the ophthalmic arteries; tests compare the volumes of the tree with it.
MEASURED_SHARES: dict[str, float] = {"MCA": 0.42, "ACA": 0.24, "PCA": 0.16}
VARIANTS: dict[str, float] = {"fetal PCA": 0.11, "absent A1": 0.04, "absent PCom": 0.25}  # probability on each side
_RADIUS_OF_A_LITRE_MM = 1.95  # gives M1, which supplies about 340 ml, a lumen of 2.7 mm
_COST = {"surface": 1.0, "grey": 2.5, "white": 5.0}


def skeleton(rng: np.random.Generator | None = None) -> tuple[tuple[Segment, ...], dict[str, str]]:
    """The named arteries, each after its parent, and the variant of each side.

    Args:
        rng: Source of the variants, of the courses' variation by some millimetres, and of the borders between
            territories; None for the courses of the atlas.
    """
    variants = dict.fromkeys("RL", "")
    if rng is not None:
        probability = {**VARIANTS, "": 1 - sum(VARIANTS.values())}
        variants = {side: str(rng.choice(list(probability), p=list(probability.values()))) for side in "RL"}
        if variants["R"] == variants["L"] == "absent A1":  # one side must supply the other
            variants["L"] = ""
    segments = _in_order(list(_all_segments(variants)))
    if rng is not None:
        segments = [vary_course(rng, s) for s in segments]
    return tuple(segments), variants


def _all_segments(variants: dict[str, str]) -> Iterator[Segment]:
    """The segments of both sides, with the variant of each."""
    yield Segment("vertebral_R", "", _VERTEBRAL, "vertebral", 6)
    yield Segment("vertebral_L", "", mirror_course(_VERTEBRAL), "vertebral", 6)
    yield Segment("basilar", "vertebral_R", _BASILAR, "basilar", 6, midline=True)
    supplied_from_left = variants["R"] == "absent A1"
    donor = "L" if supplied_from_left else "R"
    yield Segment("ACom", f"A1_{donor}", mirror_course(_ACOM) if supplied_from_left else _ACOM)
    for side in "RL":
        for name, parent, points, offshoots, reluctance in _PAIRED:
            course = points if side == "R" else mirror_course(points)
            s = Segment(
                name.replace("*", side), parent.replace("*", side), course, offshoots.replace("*", side), reluctance
            )
            yield from _varied(s, variants[side], side)
        if variants[side] != "absent PCom":
            yield Segment(f"PCom_{side}", f"ICA_{side}", _PCOM if side == "R" else mirror_course(_PCOM))


def _varied(segment: Segment, variant: str, side: str) -> Iterator[Segment]:
    """The segment in this variant; nothing where the variant lacks it."""
    if variant == "absent A1" and segment.name == f"A1_{side}":
        return
    if variant == "absent A1" and segment.name == f"A2_{side}":
        segment = replace(segment, parent="ACom")
    if variant == "fetal PCA" and segment.name == f"P2_{side}":
        segment = replace(segment, parent=f"PCom_{side}")
    yield segment


def _in_order(segments: list[Segment]) -> list[Segment]:
    """The segments, each after its parent."""
    placed: dict[str, Segment] = {}
    while len(placed) < len(segments):
        next_segments = [s for s in segments if s.name not in placed and (not s.parent or s.parent in placed)]
        placed |= {s.name: s for s in next_segments}
    return list(placed.values())


def mirror_course(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """The same course on the other side of the midline.

    Args:
        points: Control points in MNI mm.
    """
    return tuple((-x, y, z) for x, y, z in points)


def vary_course(rng: np.random.Generator, segment: Segment) -> Segment:
    """Varies the course of a segment by about a millimetre between its ends, and its reluctance.

    Args:
        rng: Source of the variation.
        segment: The segment.
    """
    points = np.array(segment.points_mm, dtype=np.float64)
    points[1:-1] += rng.normal(0, 0.9, points[1:-1].shape)
    reluctance = max(0.0, segment.reluctance + rng.normal(0, 2.0))
    return replace(segment, points_mm=tuple(map(tuple, points.tolist())), reluctance=reluctance)


def supply_points(rng: np.random.Generator | None, *, cost: Mapping[str, float], spacing_mm: int = 4) -> Supply:
    """The points that vessels can reach on the brain's surface and in its tissue: a random point in each cube of a
    grid.

    Args:
        rng: Source of the points; None for those of the atlas, whose left side mirrors its right.
        cost: Cost of a course on the ``surface``, in ``grey`` and in ``white`` matter.
        spacing_mm: Side of the cubes; each point in tissue demands the blood supply of one cube.
    """
    t = template()
    corners = np.stack(
        np.meshgrid(*(np.arange(0, n - spacing_mm, spacing_mm) for n in t.t1.shape), indexing="ij")
    ).reshape(3, -1)
    index = corners.T + (rng or np.random.default_rng(0)).integers(0, spacing_mm, corners.T.shape)
    grey, white, t1, depth = (v[tuple(index.T)] for v in (t.grey, t.white, t.t1, t.depth_mm))
    tissue = (grey.astype(int) + white > 127) & (t1 > 0)
    surface = ~tissue & (depth < 2) & (depth > -12)
    index, white, tissue = index[tissue | surface], (white > grey)[tissue | surface], tissue[tissue | surface]
    points = index @ t.affine[:3, :3].T + t.affine[:3, 3]
    prices = np.where(tissue, np.where(white, cost["white"], cost["grey"]), cost["surface"])
    supply = Supply(points, prices, np.where(tissue, spacing_mm**3 / 1000, 0.0))
    return _symmetric(supply) if rng is None else supply


def _symmetric(supply: Supply) -> Supply:
    """The points of the right side, and their mirror images."""
    right = supply.points_mm[:, 0] > 0
    points = supply.points_mm[right]
    twice = (np.tile(values[right], 2) for values in (supply.cost, supply.demand_ml))
    return Supply(np.concatenate([points, points * [-1, 1, 1]]), *twice)


def grow_arteries(rng: np.random.Generator | None = None) -> tuple[Tree, dict[str, str]]:
    """Grows an arterial tree in MNI space, from the carotid and vertebral arteries to a radius of about 0.1 mm.

    Args:
        rng: Source of the subject's variation; None for the tree of the atlas.

    Returns:
        The tree, and the variant of the circle of Willis on each side (empty where there is none).
    """
    segments, variants = skeleton(rng)
    supply = supply_points(rng, cost=_COST)
    tree = grow_tree(segments, supply, radius_of_a_litre_mm=_RADIUS_OF_A_LITRE_MM)
    basilar, left = int(tree.nodes("basilar")[0]), int(tree.nodes("vertebral_L")[-1])
    share = 0.5 if rng is None else float(rng.beta(4, 4))
    return share_flow(tree, junction=basilar, other=left, share=share), variants


def territory(name: str) -> str:
    """The large territory of a segment; empty for segments that supply no tissue themselves.

    Args:
        name: Name of the segment.
    """
    stem = name.split("_")[0].split(" ")[0]
    return next((large for large, stems in TERRITORIES.items() if stem in stems), "")
