"""Stage embed: vectors of all items by the exported text tower, with their id parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys.core import columns as c
from recsys.data.prepare import load
from recsys.interest.ids import add_ids, id_part, load_ids
from recsys.interest.text import TextTower, can_encode
from recsys.interest.vectors import embed, load_vectors, save_vectors
from recsys.pipelines.id_values import id_values
from recsys.pipelines.runner import Facts, Stage


@dataclass(frozen=True)
class Config:
    """``threads`` of the text tower."""

    threads: int = 1


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Encode what the cache beside the stage folders does not hold yet; it knows texts, so ids come after."""
    encoder, items, work = inputs["train-encoder"], load(inputs["prepare"]).items, {}
    if not can_encode(encoder):  # a vectors-only encoder carries those of its catalogue
        vectors = load_vectors(encoder)
    else:
        texts = items[c.TEXT].to_list()
        tower = TextTower.load(encoder, config.threads)
        vectors = embed(texts, tower, out.parent.parent / "vector-cache", encoder / "known")
        work = {"texts": len(texts), "encoded": tower.encoded, "found": len(set(texts)) - tower.encoded}
    ids = load_ids(encoder)
    if ids is not None:
        part = id_part(ids, id_values(items, ids.columns))
        vectors = vectors._replace(tuned=add_ids(vectors.tuned, part))
    save_vectors(vectors, out)
    metrics = tuple((f"embed/work_{name}", float(value), 0) for name, value in work.items())
    return Facts(
        rows={"items": len(vectors.raw)},
        metrics=metrics,
        notes={"dims": int(vectors.raw.shape[1]), "work": work},
    )


STAGE = Stage(
    "embed",
    work,
    (
        "recsys.interest.ids",
        "recsys.interest.static",
        "recsys.interest.text",
        "recsys.interest.vectors",
        "recsys.interest.wordpiece",
        "recsys.pipelines.embed",
        "recsys.pipelines.id_values",
    ),
)
