"""The form of every benchmark: named figures with goals, one table printed, one JSON written."""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple, ParamSpec, TypeVar

from recsys.pipelines.commit import git_commit

Sense = Literal["min", "max", "none"]
P, R = ParamSpec("P"), TypeVar("R")


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Parameters
    ----------
    name, value, unit : str, float, str
    against : str
        What it is compared with, if anything.
    goal : float, optional
        None where a figure is only printed.
    sense : {"min", "max", "none"}
        Whether the goal is the least or the most that the value may be.
    low, high : float, optional
        The least and the most of the repetitions.
    note : str
    """

    name: str
    value: float
    unit: str
    against: str = ""
    goal: float | None = None
    sense: Sense = "none"
    low: float | None = None
    high: float | None = None
    note: str = ""
    holds: bool | None = field(init=False)

    def __post_init__(self) -> None:
        holds = None
        if self.goal is not None and self.sense != "none":
            holds = bool(self.value >= self.goal if self.sense == "min" else self.value <= self.goal)
        object.__setattr__(self, "holds", holds)


class Cell(NamedTuple):
    """A number that is one of many: of a model, say, on a data set."""

    row: str
    column: str
    value: float
    low: float
    high: float


class Spread(NamedTuple):
    """Repetitions of one measurement, in its unit."""

    middle: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median, least and most."""
    return Spread(median(values), min(values), max(values))


def rounds(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each repetition of each run, in turns: a busy moment of the machine falls on all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def alternate(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Spread]:
    """What `rounds` measures, as median, least and most."""
    return {name: spread(values) for name, values in rounds(runs, repeats).items()}


def quotient(over: Sequence[float], under: Sequence[float]) -> Spread:
    """How many times as long one run took as the other, from the repetitions that stood side by side."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def apart(function: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """What a function gives in a process of its own: nothing that ran before slows it or fills its memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *given, **named).result()


def machine() -> str:
    """Processor, cores, memory and Python of this machine, in words."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{model}, {cores} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
    )


def table(figures: Sequence[Figure]) -> str:
    """The figures as text, one a line."""
    lines = [["figure", "value", "unit", "range", "goal", "holds", "note"]]
    for f in figures:
        span = "" if f.low is None or f.high is None else f"{f.low:.4g} to {f.high:.4g}"
        goal = "" if f.goal is None else f"{'at least' if f.sense == 'min' else 'at most'} {f.goal:g}"
        holds = "" if f.holds is None else ("yes" if f.holds else "NO")
        note = "; ".join(part for part in (f"against {f.against}" if f.against else "", f.note) if part)
        value = f"{f.value:,.0f}" if abs(f.value) >= 1000 else f"{f.value:.4g}"
        lines.append([f.name, value, f.unit, span, goal, holds, note])
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def grid(cells: Sequence[Cell]) -> tuple[list[str], list[list[str]]]:
    """Cells as a heading and lines of words, rows and columns in their order; blank where there is none."""
    columns = list(dict.fromkeys(cell.column for cell in cells))
    lines: dict[str, list[str]] = {cell.row: [""] * len(columns) for cell in cells}
    for cell in cells:
        lines[cell.row][columns.index(cell.column)] = f"{cell.value:.4f} [{cell.low:.4f}, {cell.high:.4f}]"
    return ["", *columns], [[row, *words] for row, words in lines.items()]


def arguments(description: str, names: Sequence[str]) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="of: " + ", ".join(names))
    parser.add_argument("--quick", action="store_true", help="small input: does it run, not how fast")
    return parser


def report(bench: str, figures: Sequence[Figure], out: Path | None, cells: Sequence[Cell] = ()) -> None:
    """Print the table and the grid of cells, if any; write the JSON, if asked, by an atomic rename.

    Each figure says at which commit and on which machine it was measured. Those that ``out`` holds and that
    were not measured now stay, and so do its cells where there are none now.
    """
    print(table(figures))
    if cells:
        heading, lines = grid(cells)
        print("\n" + _aligned([heading, *lines]))
    if out is None:
        return
    here = {"commit": git_commit(12) or "unknown", "machine": machine()}
    before = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {"figures": []}
    rows = {row["name"]: row for row in before["figures"]} | {f.name: asdict(f) | here for f in figures}
    told: dict[str, object] = {"bench": bench, "figures": list(rows.values())}
    if kept := [cell._asdict() for cell in cells] or before.get("cells"):
        told["cells"] = kept
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    part.replace(out)
