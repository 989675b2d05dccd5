"""Progress bars with the time left, on stderr."""

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


class ProgressBars:
    """One display for all loops that run at the same time. The bar of an inner loop is removed when the loop ends.

    Args:
        console: The console to draw on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._display: Progress | None = None
        self._running = 0

    def track(self, items: Iterable[T], *, what: str, total: int | None = None) -> Iterator[T]:
        """The same items, with a bar that advances as each is done.

        Args:
            items: The items of the loop.
            what: Label of the bar.
            total: Number of items, where ``items`` has no length. Without it the bar only counts.
        """
        length = total if total is not None else len(items) if isinstance(items, Sized) else None
        if length == 0:
            yield from items
            return
        display = self._open()
        task = display.add_task(what, total=length)
        try:
            for item in items:
                yield item
                display.advance(task)
        finally:
            self._running -= 1
            if self._running:
                display.remove_task(task)
            else:
                self._close(display)

    def _open(self) -> Progress:
        if self._display is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"))
            left = TimeRemainingColumn(elapsed_when_finished=True)
            self._display = Progress(*columns, left, console=self._console)
            self._display.start()
        self._running += 1
        return self._display

    def _close(self, display: Progress) -> None:
        display.stop()
        self._display = None
