"""The README's table of figures, written from ``pipelines/figures/*.json`` and from nothing else.

``make figures`` (``python -m recsys.pipelines.figures``) replaces what stands between two markers of the
README; each JSON file is what a benchmark wrote with ``--out`` (see `recsys.pipelines.bench`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.core.errors import DataError, RecsysError
from recsys.pipelines.bench import Cell, grid

HERE = Path(__file__).resolve().parent
README, FOLDER = HERE.parent / "README.md", HERE / "figures"
BEGIN, END = "<!-- figures: begin, written by make figures -->", "<!-- figures: end -->"
NEEDED = ("bench", "figures")
HEADER = ("figure", "value", "range", "goal", "holds", "what it is", "commit")
RULE = ("---", "---:", "---:", "---:", "---", "---", "---")
NONE_YET = "No figure has been recorded yet."


def read(folder: Path) -> list[dict[str, Any]]:
    """The benchmarks of a folder, one JSON file each, in the order of their names.

    Raises
    ------
    DataError
        For a file that is not what a benchmark writes.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _wrong(path, str(error)) from error
        missing = [key for key in NEEDED if key not in told] if isinstance(told, dict) else ["an object"]
        if not missing and not all({"commit", "machine"} <= set(figure) for figure in told["figures"]):
            missing = ["commit and machine of each figure"]
        if missing:
            raise _wrong(path, f"no {', '.join(missing)}")
        found.append(told)
    return found


def render(benches: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a heading, a line on how and where, and a table for each benchmark."""
    parts = [_bench(told) for told in benches if told["figures"]]
    return "\n\n".join(parts) if parts else NONE_YET


def replace(text: str, table: str) -> str:
    """A README with ``table`` between its markers.

    Raises
    ------
    DataError
        Where the two markers do not stand there once each, in their order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise DataError(
            "the README",
            expected=f"one line {BEGIN!r} and below it one line {END!r}",
            found=f"{text.count(BEGIN)} and {text.count(END)}, or the other way round",
            do="Put both markers back; what stands between them is written by make figures.",
        )
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _wrong(path: Path, found: str) -> DataError:
    return DataError(
        f"{path.parent.name}/{path.name}",
        expected=f"JSON with {', '.join(NEEDED)}",
        found=found,
        do="Write it by a benchmark's --out, never by hand.",
    )


def _bench(told: Mapping[str, Any]) -> str:
    name = told["bench"]
    how = f"`python -m recsys.pipelines.bench_{name} --out pipelines/figures/{name}.json`"
    rows: list[Sequence[str]] = [HEADER, RULE, *map(_row, told["figures"])]
    machines = dict.fromkeys(_cell(str(figure["machine"])) for figure in told["figures"])
    said = f"**{name}**: {how}, on {'; '.join(machines)}."
    if told.get("cells"):
        heading, lines = grid([Cell(**cell) for cell in told["cells"]])
        rows += [(), heading, ["---", *["---:"] * (len(heading) - 1)], *lines]
    return "\n".join([said, "", *("| " + " | ".join(row) + " |" if row else "" for row in rows)])


def _row(figure: Mapping[str, Any]) -> tuple[str, ...]:
    low, high, goal, holds = (figure.get(key) for key in ("low", "high", "goal", "holds"))
    sense = "at least" if figure.get("sense") == "min" else "at most"
    against = f"against {figure['against']}" if figure.get("against") else ""
    return (
        f"`{figure['name']}`",
        f"{_number(figure['value'])} {figure['unit']}".strip(),
        "" if low is None or high is None else f"{_number(low)} to {_number(high)}",
        "" if goal is None else f"{sense} {_number(goal)}",
        "" if holds is None else ("yes" if holds else "**no**"),
        _cell("; ".join(part for part in (against, figure.get("note") or "") if part)),
        str(figure["commit"])[:7],
    )


def _cell(text: str) -> str:
    """Text that cannot end its cell."""
    return " ".join(text.replace("|", "\\|").split())


def _number(value: float) -> str:
    """Thousands with commas, anything less with up to four figures."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def main(readme: Path = README, folder: Path = FOLDER) -> int:
    """Write the table into the README; 0, or 2 with one message."""
    try:
        if not readme.is_file():
            raise DataError(
                readme.name,
                expected="the README beside pipelines/",
                found="none",
                do="Run this in a checkout: an installed package has no README to write.",
            )
        text = readme.read_text(encoding="utf-8")
        written = replace(text, render(read(folder)))
    except RecsysError as error:
        print(f"figures: {error}")
        return 2
    if written != text:
        part = readme.with_name(readme.name + ".part")
        part.write_text(written, encoding="utf-8")
        part.replace(readme)
    print(f"{readme.name}: {'unchanged' if written == text else 'written'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
