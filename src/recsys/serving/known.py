"""What a model folder knows, as against what was learned: it grows with every event and every item."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from recsys.candidates.popularity import Popularity
from recsys.candidates.sources import new_popularity
from recsys.core.artefact import fit_array, read_array
from recsys.core.codes import Codes
from recsys.core.content_keys import KEY
from recsys.features.attributes import Attributes
from recsys.interest.vectors import Vectors
from recsys.serving.bundle import ITEM_KEYS, POPULARITY, Bundle, bundle_error
from recsys.state.store import State

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Known:
    """Users, items, and what happened.

    Parameters
    ----------
    users, items : Codes
    categories, brands : Codes
        Of the words that the item table numbers.
    state : State
        As of the end of the log; it carries the item table.
    state_time : int
        Microseconds: the latest event that the state has seen.
    popularity : Popularity
        At the last tick.
    vectors : Vectors, optional
    item_keys : S32 array, shape (items,), optional
        What each item's vectors came from, by `recsys.interest.vectors.item_keys`; goes with ``vectors``.
    item_attributes, user_attributes : Attributes
    """

    users: Codes
    items: Codes
    categories: Codes
    brands: Codes
    state: State
    state_time: int
    popularity: Popularity
    vectors: Vectors | None = None
    item_keys: Array | None = None
    item_attributes: Attributes = field(default_factory=Attributes)
    user_attributes: Attributes = field(default_factory=Attributes)

    @property
    def popular(self) -> tuple[Array, Array]:
        """The popular list: codes int32 and scores float32, best first."""
        return self.popularity.ranked(self.state.items)


def known_of(bundle: Bundle) -> Known:
    """What a loaded bundle knows; its own state and codes, which go on with what is put to them.

    Raises
    ------
    BundleError
        For a missing or damaged file, or counts that other code made.
    """
    folder, table = bundle.folder, bundle.state.items
    words = {}
    for name, column in (("categories", table.category), ("brands", table.brand)):
        words[name] = Codes.load(folder / "codes" / name)
        if int(column.max(initial=-1)) >= len(words[name]):
            what = f"the codes in {folder / 'codes' / name}"
            raise bundle_error(what, f"{int(column.max()) + 1} words", f"{len(words[name])}")
    popularity = new_popularity(bundle.candidates, len(bundle.items), bundle.clock)
    popularity.restore(folder / POPULARITY)
    keys = None
    if bundle.vectors is not None:
        fit_array(bundle.vectors.raw, str(folder / "vectors" / "raw.npy"), None, (len(bundle.items), None))
        keys = read_array(folder / ITEM_KEYS, KEY, (len(bundle.items),))
    return Known(
        users=bundle.users,
        items=bundle.items,
        categories=words["categories"],
        brands=words["brands"],
        state=bundle.state,
        state_time=bundle.state_time,
        popularity=popularity,
        vectors=bundle.vectors,
        item_keys=keys,
        item_attributes=bundle.item_attributes,
        user_attributes=bundle.user_attributes,
    )
