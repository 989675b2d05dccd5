"""How a long step tells how far it is, without knowing who listens.

A station that loops for more than a second takes ``progress: Progress = quiet`` and walks its items through
``progress.track(items, what="Drawing")``. The command line listens on stderr; tests and other programs need not.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Progress(Protocol):
    """Anything that can watch a loop go by."""

    def track(self, items: Iterable[T], *, what: str, total: int | None = None) -> Iterator[T]:
        """The same items in the same order, each counted once its turn of the loop is over.

        Args:
            items: What the loop walks over.
            what: The step in a word or two, for people: ``"Drawing samples"``.
            total: How many items there will be, where ``items`` has no length and the caller knows.
        """
        ...


class Quiet:
    """Watches nothing and says nothing."""

    def track(self, items: Iterable[T], *, what: str, total: int | None = None) -> Iterator[T]:  # noqa: ARG002
        """The items, as they are."""
        yield from items


quiet: Progress = Quiet()
