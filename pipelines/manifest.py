"""A run folder's manifest: what the run was asked for, and the record of each of its stages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import recsys
from recsys.core.artefact import read_json
from recsys.pipelines import atomic

MANIFEST = "manifest.json"
ELSEWHERE = "Name another run folder with paths.run_dir, or move what is there away."
Records = dict[str, dict[str, Any]]


def read_stages(run_dir: Path) -> Records:
    """The records of the stages that earlier commands left in a run folder, by label."""
    path = run_dir / MANIFEST
    if not path.is_file():
        return {}
    found: Records = read_json(path, ELSEWHERE).get("stages", {})
    return found


def merged(earlier: Mapping[str, dict[str, Any]], now: Mapping[str, dict[str, Any]]) -> Records:
    """The records of a run folder after a further command in it.

    A stage stays as an earlier command left it unless it came up again. One that this run folder's
    own earlier command made is not called skipped for being found again.
    """
    records = {**earlier, **now}
    for label, record in now.items():
        before = earlier.get(label, {})
        if (before.get("key"), before.get("started")) == (record["key"], record["started"]):
            records[label] = {**record, "skipped": before["skipped"]}
    return records


def write(run_dir: Path, extra: Mapping[str, Any], records: Records) -> None:
    """Write the manifest; ``saw`` gathers the window of each learned thing."""
    saw = {thing: window for record in records.values() for thing, window in record["saw"].items()}
    content = {**extra, "version": recsys.__version__, "saw": saw, "stages": records}
    atomic.write_json(run_dir / MANIFEST, content)
