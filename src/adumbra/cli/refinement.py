"""Options of a second pass over the windows where the first is uncertain."""

from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Group, Parameter

from adumbra.cli.options import UsageError, unwrap_docstring
from adumbra.core.options import RefinementConfig, SelectionConfig


def _require_number_or_share(_: object, value: float | None) -> None:
    if value is not None and not (0 < value < 1 or (value >= 1 and value == int(value))):
        raise ValueError("Must be a number of windows, or a share above 0 and below 1.")


@Parameter(name="*", group=Group("Second pass", sort_key=3))
@unwrap_docstring
@dataclass(frozen=True)
class RefinementArguments:
    """A second pass over the windows where the first is uncertain.

    Attributes:
        refine: Weights of a second pass, a safetensors file. Repeat it for an ensemble. By default there is no second
            pass.
        refine_windows: Largest number of windows that the second pass reads (8 by default), or the share of the
            uncertainty that they are to cover, such as 0.9.
    """

    refine: Annotated[list[str] | None, Parameter(negative=())] = None
    refine_windows: Annotated[float | None, Parameter(validator=_require_number_or_share)] = None

    def config(self) -> RefinementConfig | None:
        """The second pass; None where no weights are given.

        Raises:
            UsageError: Windows are given without weights.
        """
        if not self.refine:
            if self.refine_windows is not None:
                raise UsageError("--refine-windows needs --refine FILE")
            return None
        selection, windows = SelectionConfig(), self.refine_windows
        if windows is not None and windows < 1:
            selection = replace(selection, most=None, share=windows)
        elif windows is not None:
            selection = replace(selection, most=int(windows))
        return RefinementConfig(self.refine, selection)


NO_REFINEMENT = RefinementArguments()
