"""Maps and draws of a lesion on the grid of ``atlas_cases``, for tests of uncertain regions and the worklist."""

import numpy as np

from adumbra.core.entropy import binary_entropy
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Maps
from atlas_cases import GRID, cube


def maps_of(probability: np.ndarray, *, grid=GRID, target="lesion", share: float = 0.25) -> Maps:
    """Maps of a mean probability with threshold 0.5, a share of whose entropy is epistemic."""
    p = probability.astype(np.float32)
    entropy = binary_entropy(p).astype(np.float32)
    epistemic = (share * entropy).astype(np.float32)
    nothing = np.zeros_like(entropy)
    return Maps(target, grid, p, entropy, entropy - epistemic, epistemic, nothing, p >= np.float32(0.5), 0.5, 4)


def lesion_with_rim(centre_mm=(40.0, 0.0, 20.0), half_mm: float = 18.0, rim_mm: float = 8.0, p: float = 0.4):
    """Maps of a certain cube in an uncertain rim, and four draws with the cube and a part of the rim."""
    core, whole = cube(centre_mm, half_mm), cube(centre_mm, half_mm + rim_mm)
    probability = np.where(core, 0.99, np.where(whole, p, 0.0))
    rng = np.random.default_rng(0)
    masks = [core | (whole & (rng.random(GRID.shape) < share)) for share in (0.1, 0.3, 0.5, 0.7)]
    return maps_of(probability), MaskDraws.of(masks)
