"""A progress bar for whatever takes longer than two seconds; silent where nobody is looking.

Where the end is known, a bar says how fast it goes and how long it will still take.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
PATIENCE_S = 2.0
_open: list[Progress] = []  # the one display of the process; bars inside a bar are further lines of it


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Hand through ``items``; after two seconds show on stderr how far it is.

    Nothing is drawn where stderr is not a terminal, or where rich is not installed.

    Parameters
    ----------
    items : iterable
    label : str
        What is going on, in a few words.
    total : int, optional
        How many items there will be; taken from ``len`` where there is one.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with _display() as display:
        if display is None:
            yield from items
            return
        task = display.add_task(label, total=total)
        try:
            for done, item in enumerate(items):
                display.update(task, completed=done)
                yield item
        finally:
            display.remove_task(task)


@contextmanager
def counting(label: str, total: int, unit: str = "", done: int = 0) -> Iterator[Callable[[float], None]]:
    """Show after two seconds how far a loop is that runs elsewhere; as `track` does.

    Parameters
    ----------
    label : str
    total, done : int
        Steps of the whole, and those that were made before.
    unit : str
        What the rate counts: "samples" for samples a second.

    Yields
    ------
    callable
        To be called after each step with how many units it held.
    """
    with _display() as display:
        if display is None:
            yield lambda held: None
            return
        task = display.add_task(label, total=total, completed=done, unit=unit)
        each: list[float] = []

        def advance(held: float) -> None:
            each[:] = [each[0] + 0.1 * (held - each[0]) if each else held]  # of the last ten steps, about
            display.update(task, advance=1, each=each[0])

        try:
            yield advance
        finally:
            display.remove_task(task)


@contextmanager
def working(label: str) -> Iterator[None]:
    """Show after two seconds that the block is being worked on, and for how long; as `track` does."""
    with _display() as display:
        if display is None:
            yield
            return
        task = display.add_task(label, total=None)
        try:
            yield
        finally:
            display.remove_task(task)


@contextmanager
def _display() -> Iterator[Progress | None]:
    """The display that is open, or a new one that appears when patience ends; None where there is none."""
    if _open:
        yield _open[0]
        return
    if (made := _made()) is None:
        yield None
        return
    timer = threading.Timer(PATIENCE_S, made.start)
    timer.daemon = True
    _open.append(made)
    timer.start()
    try:
        yield made
    finally:
        _open.remove(made)
        timer.cancel()
        timer.join()  # it may be starting just now
        if made.live.is_started:
            made.stop()


def _made() -> Progress | None:
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        from recsys.core.bar_columns import Left, Rate
    except ImportError:
        return None
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        Rate(),
        Left(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # what is piped elsewhere must not land on the screen
    )
