"""The tree of errors. Every message names the file, what was expected, what was found, and what to do.

AdumbraError
├── InputRejected        the user's files or options cannot be used            exit code 4
│   ├── UnreadableFile       truncated, not an image, checksum wrong
│   ├── AmbiguousInput       two interpretations are possible and they would differ
│   ├── MissingInput         a sequence, mask or file that is needed is missing
│   ├── ImplausibleValues    NaN voxels, values that cannot be an ADC, values that are not a mask
│   └── GridMismatch         geometries that do not fit together
├── WeightsRejected      weights that are missing, not of Adumbra, or not what their card states
└── OutputRefused        the output exists, is locked, or cannot be written
"""


class AdumbraError(Exception):
    """Base of every error that Adumbra raises on purpose.

    Attributes:
        where: The file, case or argument that the error is about.
        expected: What was expected.
        found: What was found instead.
        do: What the user can do.
    """

    def __init__(self, where: object, *, expected: str, found: str, do: str) -> None:
        self.where, self.expected, self.found, self.do = str(where), expected, found, do
        super().__init__(f"{self.where}\n  expected: {expected}\n  found:    {found}\n  do:       {do}")

    def __reduce__(self) -> tuple[object, ...]:
        # Workers raise these errors across processes, and keyword-only arguments do not survive pickling by default.
        return _rebuild, (type(self), self.where, self.expected, self.found, self.do)


def _rebuild(kind: type[AdumbraError], where: str, expected: str, found: str, do: str) -> AdumbraError:
    return kind(where, expected=expected, found=found, do=do)


class InputRejected(AdumbraError):
    """The user's files or options cannot be used."""


class UnreadableFile(InputRejected):
    """A file that is truncated, damaged, or not an image at all."""


class AmbiguousInput(InputRejected):
    """Two interpretations are possible and they would give different results."""


class MissingInput(InputRejected):
    """A sequence, mask or file that is needed is missing."""


class ImplausibleValues(InputRejected):
    """NaN voxels, values that cannot be what the file claims, or values that are not a mask."""


class GridMismatch(InputRejected):
    """Geometries that do not fit together."""


class WeightsRejected(AdumbraError):
    """Weights that are missing, not of Adumbra, or not what their card states."""


class OutputRefused(AdumbraError):
    """The output exists already, is locked by another process, or cannot be written."""
