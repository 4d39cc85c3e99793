"""What it takes to be there: a new process's first answer, its memory, and the size of the base install."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

from recsys.pipelines.bench import Figure, spread
from recsys.pipelines.bench_serving_calls import LIST, Calls
from recsys.pipelines.bench_serving_world import World, larger

PASSES, MILLION = 5, 1_000_000
FIRST = """
import sys, time
start = time.perf_counter()
from recsys import Ranker
folder, user, *items = sys.argv[1:]
answer = Ranker.load(folder).rank(user, items)
assert sorted(answer.item_ids) == sorted(items)
took = time.perf_counter() - start
status = open("/proc/self/status").read().split("VmRSS:")[1].split()[0]
print(took, int(status) / 1024)
"""


def load_figures(world: World, many: int, root: Path) -> list[Figure]:
    """A new process that finds its kernels compiled: import to first answer, memory then."""
    asked = Calls(world, 4)
    user, items = asked.user(), asked.items(LIST)

    def first(model: Path) -> tuple[list[float], list[float]]:
        command = [sys.executable, "-c", FIRST, str(model), user, *items]
        lines = [
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            for _ in range(PASSES + 1)
        ][1:]
        return [float(line[0]) for line in lines], [float(line[1]) for line in lines]

    took, resident = map(spread, first(world.model))
    large = spread(first(larger(world, many, root))[0])
    note = f"a new process, kernels on disk, from the import to the answer for {LIST} candidates"
    return [
        Figure("load_first_answer_s", took.middle, "s", "", 1.5, "max", *took[1:], note),
        Figure("load_rss_mib", resident.middle, "MiB", "", 450.0, "max", *resident[1:], "resident then"),
        Figure("load_1m_s", large.middle, "s", "", 2.5, "max", *large[1:], f"the same, {many:,} items"),
    ]


def install_figure() -> Figure:
    """What the base install brings: the files of the package and of all that it needs, less the extras."""
    seen: set[str] = set()
    waiting = ["recsys"]
    total = 0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on other systems alone
        total += sum(
            path.stat().st_size for path in map(found.locate_file, found.files or ()) if path.is_file()
        )
        waiting += [
            re.split(r"[\s;<>=!~\[(]", need, maxsplit=1)[0]
            for need in found.requires or ()
            if "extra ==" not in need
        ]
    note = f"files of {len(seen)} distributions, as installed here, compiled Python aside"
    return Figure("base_install_mib", total / 2**20, "MiB", "", 700.0, "max", note=note)
