"""How often the test window of a data set was looked at: every look makes its intervals too hopeful."""

import datetime as dt
import json
from pathlib import Path

FILE = "test-reads.jsonl"


def count_read(stage_folder: Path, name: str) -> int:
    """Note one more read of a data set's test window, beside the work folder; return how many there were.

    Parameters
    ----------
    stage_folder : Path
        The stage's output, in a folder of the stage's name below the work folder.
    name : str
        The run's name, which stands for its data.
    """
    path = stage_folder.parents[2] / FILE
    line = json.dumps({"name": name, "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")})
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(1 for one in lines if json.loads(one)["name"] == name)
