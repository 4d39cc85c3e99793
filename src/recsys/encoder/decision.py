"""What the preset auto chose, kept with the state of its training: one that goes on does not choose anew."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)
FILE = "auto.json"


def keep_choice(
    folder: Path | None, key: str, choose: Callable[[], tuple[str, dict[str, Any]]]
) -> tuple[str, dict[str, Any]]:
    """The choice that was made for a training before it was broken off, or a new one, which is kept.

    Parameters
    ----------
    folder : Path, optional
        Where the state of the training lies; without it nothing is kept.
    key : str
        Of all that the choice depends on, the machine aside: another training's choice is not taken.
    choose : callable
        Gives the preset and the record of how it was chosen.
    """
    if folder is None:
        return choose()
    path = folder / FILE
    if path.is_file():
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["key"] == key:
                return str(told["preset"]), dict(told["record"])
        except (ValueError, KeyError, TypeError):
            LOG.warning("%s is damaged: the preset is chosen anew.", path)
    preset, record = choose()
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".tmp-{FILE}")
    partial.write_text(json.dumps({"key": key, "preset": preset, "record": record}), encoding="utf-8")
    partial.replace(path)
    return preset, record


def forget_choice(folder: Path) -> None:
    """The training is done."""
    (folder / FILE).unlink(missing_ok=True)
