"""How often the test window of a data set was looked at: every look makes its intervals too hopeful."""

import datetime as dt
import hashlib
import json
from pathlib import Path

import polars as pl

FILE = "test-reads.jsonl"


def count_read(stage_folder: Path, name: str, truth: pl.DataFrame) -> int:
    """Note one more read of a data set's test window, beside the work folder; return how many there were.

    Parameters
    ----------
    stage_folder : Path
        The stage's output, in a folder of the stage's name below the work folder.
    name : str
        The run's name, for those who read the file.
    truth : DataFrame
        Of the test window: the same targets are the same window, whatever a run is called.
    """
    content = truth.sort(truth.columns).write_csv().encode()
    window = hashlib.blake2b(content, digest_size=8).hexdigest()
    path = stage_folder.parents[2] / FILE
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    line = json.dumps({"name": name, "window": window, "at": now})
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(1 for one in lines if json.loads(one).get("window") == window)
