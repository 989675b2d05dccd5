"""The options of a training of a second look."""

from dataclasses import asdict, dataclass, field

from adumbra.core.errors import InputRejected
from adumbra.networks.second_look import SIDE, SPACING_MM, SecondLookConfig
from adumbra.training.config import OptimiserConfig, RuntimeConfig
from adumbra.training.second_look.batches import ExampleAugmentation


@dataclass(frozen=True)
class SecondLookTraining:
    """Everything that a training of a second look depends on.

    Attributes:
        network: Architecture.
        spacing_mm: Spacing of the cube.
        side: Side of the cube, in voxels; a multiple of ``network.multiple``.
        batch: Number of examples in a step.
        held_out: Number of files at the end of the list that are validated.
        contour_weight: Weight of the contour in the loss.
        augmentation: Random changes.
        optimiser: Optimiser and schedule.
        seed: Seed of every random choice.
        runtime: How the training runs; not part of its identity.
    """

    network: SecondLookConfig = field(default_factory=SecondLookConfig)
    spacing_mm: float = SPACING_MM
    side: int = SIDE
    batch: int = 8
    held_out: int = 0
    contour_weight: float = 1.0
    augmentation: ExampleAugmentation = field(default_factory=ExampleAugmentation)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: int = 0
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        if self.side % self.network.multiple:
            raise InputRejected(
                "side", expected=f"a multiple of {self.network.multiple}", found=str(self.side), do="give 48"
            )

    def identity(self) -> dict[str, object]:
        """The options that the result depends on, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "runtime"}
