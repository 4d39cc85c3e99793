"""Several boosters of other seeds, their scores averaged: served as one model of all their trees."""

from collections.abc import Sequence
from dataclasses import replace

from recsys.core.checks import MOST_SEED
from recsys.ranking.config import RerankerConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.reranker import Reranker, train

APART = 104_729  # between the seeds of one reranker's boosters: those of a run's seeds must not meet them


def train_boosters(
    frame: RankFrame, valid: RankFrame | None, config: RerankerConfig, num_iterations: int | None = None
) -> Reranker:
    """`reranker.train`, ``config.boosters`` times, as one reranker.

    The first has the config's own seed. They differ by what they draw: columns (``feature_fraction``) and
    requests (``bagging_fraction``); where nothing is drawn, they are equal.

    Returns
    -------
    Reranker
        Its score is the mean of theirs, to rounding; importance and NDCG are their means, and
        ``best_iteration`` counts the trees of all.
    """
    n = config.boosters
    seeds = [(config.seed + i * APART) % (MOST_SEED + 1) for i in range(n)]
    ones = [train(frame, valid, replace(config, seed=seed), num_iterations) for seed in seeds]
    if n == 1:
        return ones[0]
    ndcg = [one.valid_ndcg for one in ones if one.valid_ndcg is not None]
    return replace(
        ones[0],
        text=averaged([one.text for one in ones]),
        best_iteration=sum(one.best_iteration for one in ones),
        importance={name: sum(one.importance[name] for one in ones) / n for name in frame.columns},
        valid_ndcg=sum(ndcg) / n if ndcg else None,
    )


def averaged(texts: Sequence[str]) -> str:
    """LightGBM's text of a model whose score is the mean of several models' scores.

    The trees of all, one after another, each leaf divided by the number of models.

    Parameters
    ----------
    texts : sequence of str
        Of the same columns; the first gives what is said beside the trees.
    """
    out: list[str] = []
    n, trees = len(texts), 0
    for model, text in enumerate(texts):
        head, *rest = text.split("\nTree=")
        if model == 0:  # sizes of the trees' texts are a help in reading that may be left out
            out += [line for line in head.split("\n") if not line.startswith("tree_sizes=")]
        for tree in rest:
            _, _, lines = tree.partition("\n")
            body, _, _ = lines.partition("\nend of trees")
            out += [f"Tree={trees}", *(_shared(line, n) for line in body.split("\n"))]
            trees += 1
    return "\n".join(out) + "\nend of trees" + texts[0].partition("\nend of trees")[2]


def _shared(line: str, n: int) -> str:
    """A line of a tree's text, the values of its nodes divided by ``n``."""
    name, equals, values = line.partition("=")
    if name not in ("leaf_value", "internal_value"):
        return line
    return name + equals + " ".join(repr(float(value) / n) for value in values.split())
