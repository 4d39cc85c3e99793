"""The command ``recsys update``: puts new events and items onto a model folder, and says what came of it."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from recsys.core.errors import ConfigError
from recsys.core.progress import working
from recsys.pipelines.model_folder import locked, model_folder
from recsys.pipelines.model_update import Updated, update
from recsys.pipelines.settings import checked
from recsys.serving.bundle_place import previous_of


def table(done: Updated, folder: Path, seconds: float) -> list[str]:
    """What was done, a line each."""
    items = done.items
    rows = {
        "new users": done.users,
        "new items": items.new,
        "changed items": items.changed,
        "texts encoded": items.encoded,
        "events applied": done.events,
    }
    rows |= {f"dropped, {line[0]}": line[3] for line in done.ledger.lines if line[2] == "events" and line[3]}
    said = {
        "new items have no vector: no text, or nothing to encode it with": items.without_vector,
        "changed texts keep their old vectors: this model cannot encode texts": items.kept_texts,
        "items keep their old category or brand in the state, where its counts stand": items.kept_groups,
        "files of events were applied before, and passed over": done.repeated,
    }
    out = [f"{name:<28}{count:>12,}" for name, count in rows.items()]
    out += [f"{'seconds':<28}{seconds:>12.1f}"]
    out += [f"{count:,} {words}" for words, count in said.items() if count]
    if not done.changed:
        return [*out, f"nothing new: {folder} is as it was"]
    return [*out, f"model: {folder}", f"previous: {previous_of(folder)}"]


def main(overrides: Sequence[str]) -> int:
    """Read, apply, exchange, and say what was done."""
    config, _ = checked(overrides)
    folder = model_folder(config.model, "update")
    if config.events is None and config.items is None:
        raise ConfigError(
            "events", expected="events or items", found="neither", do="Give events=<file or folder>."
        )
    started = time.perf_counter()
    given = [None if one is None else Path(one) for one in (config.events, config.items)]
    with locked(folder), working("update"):
        done = update(folder, given[0], given[1], config.data, config.threads or os.cpu_count() or 1)
    for rule, _, what, dropped, kept, why in done.ledger.lines:
        print(f"{what}, {rule}: {dropped:,} dropped, {kept:,} kept ({why})")
    print("\n".join(table(done, folder, time.perf_counter() - started)))
    return 0
