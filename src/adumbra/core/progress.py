"""How a long step reports its progress, independently of what displays it.

A stage that loops for more than a second takes ``progress: Progress = quiet`` and iterates over
``progress.track(items, what="Drawing samples")``. The command line shows a bar on stderr; tests and other programs need
not show anything.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Progress(Protocol):
    """Anything that can follow the progress of a loop."""

    def track(self, items: Iterable[T], *, what: str, total: int | None = None) -> Iterator[T]:
        """The same items in the same order; each is counted when the loop has finished with it.

        Args:
            items: The items of the loop.
            what: The step in a word or two, for people: ``"Drawing samples"``.
            total: The number of items, where ``items`` has no length and the caller knows it.
        """
        ...


class Quiet:
    """Shows no progress."""

    def track(self, items: Iterable[T], *, what: str, total: int | None = None) -> Iterator[T]:  # noqa: ARG002
        """The items, unchanged."""
        yield from items


quiet: Progress = Quiet()
