"""A progress bar for whatever takes longer than two seconds; silent where nobody is looking."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 2.0


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
    if not sys.stderr.isatty():
        yield from items
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield from items
        return
    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=total)
    began, shown = time.monotonic(), False
    try:
        for done, item in enumerate(items):
            if not shown and time.monotonic() - began >= PATIENCE_S:
                bar.start()
                shown = True
            if shown:
                bar.update(task, completed=done)
            yield item
    finally:
        if shown:
            bar.stop()
