"""What can go wrong, drawn as a tree. Every message names the file, what was expected, what was found, what to do.

AdumbraError
├── InputRejected        the user's files or options cannot be used            exit code 4
│   ├── UnreadableFile       truncated, not an image, checksum wrong
│   ├── AmbiguousInput       two readings are possible and they would differ
│   ├── MissingInput         a sequence, mask or file that is needed is not there
│   ├── ImplausibleValues    NaN holes, values that cannot be an ADC, a mask that is no mask
│   └── GridMismatch         geometries that do not fit and must not be forced to
├── WeightsRejected      weights that are not there, not ours, or not what their card says
└── OutputRefused        the output exists, is locked, or the disk is full
"""


class AdumbraError(Exception):
    """Base of every error that Adumbra raises on purpose.

    The parts are kept apart so that ``--json`` can report them by name.
    """

    def __init__(self, where: object, *, expected: str, found: str, do: str) -> None:
        self.where, self.expected, self.found, self.do = str(where), expected, found, do
        super().__init__(f"{self.where}\n  expected: {expected}\n  found:    {found}\n  do:       {do}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive pickling by default, and workers raise these across processes.
        return _rebuild, (type(self), self.where, self.expected, self.found, self.do)


def _rebuild(kind: type[AdumbraError], where: str, expected: str, found: str, do: str) -> AdumbraError:
    return kind(where, expected=expected, found=found, do=do)


class InputRejected(AdumbraError):
    """The user's files or options cannot be used."""


class UnreadableFile(InputRejected):
    """A file that is truncated, damaged, or not an image at all."""


class AmbiguousInput(InputRejected):
    """Two readings are possible and they would give different results."""


class MissingInput(InputRejected):
    """A sequence, mask or file that is needed is not there."""


class ImplausibleValues(InputRejected):
    """NaN holes, values that cannot be what the file claims, a mask that is no mask."""


class GridMismatch(InputRejected):
    """Geometries that do not fit and must not be forced to."""


class WeightsRejected(AdumbraError):
    """Weights that are not there, not ours, or not what their card says."""


class OutputRefused(AdumbraError):
    """The output exists already, is locked by another process, or cannot be written."""
