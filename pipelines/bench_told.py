"""How a benchmark that trains is told to: on what, where, with which seeds, on which window."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.pipelines.bench import arguments

WORK = Path("mlruns/work")


@dataclass(frozen=True)
class Told:
    """How quality is measured.

    Parameters
    ----------
    quick : bool
        On a toy shop with a tiny random encoder.
    work : Path
        Where stages are kept.
    seeds : tuple of int
        Of the trainings.
    read_test : bool
        Whether figures are those of the window test, not valid.
    """

    quick: bool
    work: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    read_test: bool = False

    @property
    def window(self) -> str:
        """The window that figures are of."""
        return "test" if self.read_test else "valid"

    @property
    def of_seeds(self) -> str:
        """The seeds, in words."""
        return f"mean of {len(self.seeds)} seeds" if len(self.seeds) > 1 else f"seed {self.seeds[0]}"


def read_arguments(
    description: str, names: Sequence[str], given: Sequence[str] | None, *, seeds: str, test: str
) -> tuple[argparse.Namespace, Told]:
    """Read a command line, and what it tells; ``seeds`` and ``test`` say what these options are to it."""
    parser = arguments(description, names)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help=seeds)
    parser.add_argument("--work", type=Path, default=WORK, help="where their trainings are kept")
    parser.add_argument("--read-test", action="store_true", help=test)
    asked = parser.parse_args(given)
    return asked, Told(asked.quick, asked.work, tuple(asked.seeds), asked.read_test)
