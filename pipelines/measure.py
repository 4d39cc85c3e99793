"""Wall time and peak memory of a block of code, and the rows that it wrote."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """What a block took: seconds, and the peak of this process' resident memory in GiB."""

    seconds: float = 0.0
    peak_gib: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block; the numbers are there when it has ended.

    Linux can reset a process' high-water mark. Where it will not, the peak is that since the process
    began: an upper bound.
    """
    _reset_peak()
    cost = Cost()
    begin = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - begin
        cost.peak_gib = _peak_kib() / 2**20


def _reset_peak() -> None:
    try:
        _CLEAR.write_text("5")  # 5: the peak becomes the present resident size
    except OSError:
        return


def _peak_kib() -> int:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def rows_of(folder: Path) -> dict[str, int]:
    """Rows of each parquet file at the top of a folder, read from the files' footers."""
    return {
        path.stem: int(pl.scan_parquet(path).select(pl.len()).collect().item())
        for path in sorted(folder.glob("*.parquet"))
    }
