"""The rerankers of the vocabulary, and what each may read."""

from collections.abc import Sequence

from recsys.ranking.first_stage import FIRST_STAGE

RERANKERS = ("full", "no_interest", "behaviour_only", "text_only")
ALONE = ("behaviour_only", "text_only")  # these have sources, and so rows, of their own
TEXT_SOURCES = ("nearest",)
TEXT = ("interest_", "text_similarity_")
OF_AN_ITEM = ("item_", "pair_", *TEXT)  # what differs between the items of a request
WITHIN_A_LIST = ("_rank", "_z")  # of interest columns: a function of the other items too


def columns_of(model: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns that a reranker may read; of the linear scores its own alone."""
    mine = [name for name in names if not name.startswith(FIRST_STAGE) or name == FIRST_STAGE + model]
    unlike_text = [name for name in mine if not name.startswith(TEXT)]
    chosen = {
        "full": mine,
        "no_interest": [name for name in mine if not name.startswith("interest_")],
        "behaviour_only": unlike_text,
        "text_only": [name for name in mine if name.startswith((*TEXT, FIRST_STAGE))],
    }
    return tuple(chosen[model])


def first_stage_columns(model: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns of a reranker that its linear first stage reads: those of one item and one user."""
    listed = {name for name in names if name.startswith("interest_") and name.endswith(WITHIN_A_LIST)}
    return tuple(
        name for name in columns_of(model, names) if name.startswith(OF_AN_ITEM) and name not in listed
    )


def sources_of(model: str, sources: Sequence[str]) -> tuple[str, ...]:
    """The sources whose candidates a reranker may rank; all of them where it would have none."""
    own = tuple(name for name in sources if (name in TEXT_SOURCES) == (model == "text_only"))
    return own if model in ALONE and own else tuple(sources)
