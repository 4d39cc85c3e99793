"""The demo shop's catalogue: hidden attributes, the texts that speak of them, and the items table."""

import re
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.sources import shop_sentences as sentences
from recsys.data.sources import shop_words as words
from recsys.data.sources.shop_truth import on_grid

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BLOCKS = (
    ("category", tuple(words.CATEGORIES)),
    ("style", tuple(words.STYLES)),
    ("material", tuple(words.MATERIALS)),
    ("use", tuple(words.USES)),
    ("colour", tuple(words.COLOURS)),
    ("price", tuple(words.PRICES)),
)
NAMES = (*(name for _, block in BLOCKS for name in block), "anything", "quality")
DEPARTMENTS = tuple(words.CATEGORIES.values())
LATE = 0.36  # the share of items that arrive while the log runs
SEASON_STRENGTH = 0.7


class Catalogue(NamedTuple):
    """The items with all that is true of them; arrays of shape (items,) unless said otherwise."""

    frame: pl.DataFrame
    values: dict[str, Ints]  # block name -> which value of the block the item has
    quality: Floats
    available_from: Ints  # microseconds UTC
    price: Floats

    def attributes(self) -> NDArray[np.float32]:
        """One indicator a named value, then a constant, and the quality: float32, shape (items, D)."""
        columns = [np.eye(len(block))[self.values[name]] for name, block in BLOCKS]
        return np.column_stack([*columns, np.ones(len(self.quality)), self.quality]).astype(np.float32)

    def season(self) -> NDArray[np.float32]:
        """Weights of the cosine and sine of the time of year, from the day on which the use peaks."""
        peaks = np.array([words.SEASON_PEAKS[use] for use in words.USES]) * (2.0 * np.pi / 365.25)
        angle = peaks[self.values["use"]]
        weights = SEASON_STRENGTH * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return on_grid(weights, 1024).astype(np.float32)


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _articles(text: str) -> str:
    """Mend "a emerald" to "an emerald"."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _text(
    rng: np.random.Generator, kind: tuple[str, ...], brand: str, values: dict[str, str]
) -> tuple[str, str]:
    """One title and one description; each draws its own wordings of the same attributes."""
    name, other = _pick(rng, kind), _pick(rng, kind)
    styles, materials = words.STYLES[values["style"]], words.MATERIALS[values["material"]]
    style = styles[int(rng.integers(len(styles)))][0], styles[int(rng.integers(len(styles)))][1]
    material = materials[int(rng.integers(len(materials)))]
    title = _pick(rng, sentences.TITLES).format(
        brand=brand, style=style[0], material=material[0], type=name,
        colour=_pick(rng, words.COLOURS[values["colour"]]),
    )  # fmt: skip
    use = _pick(rng, words.USES[values["use"]])
    description = _pick(rng, sentences.DESCRIPTIONS).format(
        other=other, style=style[1], Style=_capital(style[1]), use=use, Use=_capital(use),
        material=materials[int(rng.integers(len(materials)))][1], Material=_capital(material[1]),
        colour=_pick(rng, words.COLOURS[values["colour"]]),
        price=_pick(rng, words.PRICES[values["price"]]), praise=_pick(rng, sentences.PRAISE),
    )  # fmt: skip
    return _capital(title), _articles(description)


def _values(rng: np.random.Generator, n: int) -> tuple[dict[str, Ints], Ints, Ints]:
    """Draw every item's attributes, brand and type; a brand leans to one style and one price level."""
    values = {name: rng.integers(len(block), size=n) for name, block in BLOCKS}
    brand = rng.integers(len(sentences.BRANDS), size=n)
    leans = rng.random(n) < 0.45
    values["style"] = np.where(leans, brand % len(words.STYLES), values["style"])
    values["price"] = np.where(rng.random(n) < 0.5, brand % len(words.PRICES), values["price"])
    kinds = rng.integers(6, size=n)
    known = list(words.MATERIALS)
    for i, luck in enumerate(rng.random(n)):
        department = DEPARTMENTS[values["category"][i]]
        never = words.UNLIKELY.get(department.types[kinds[i]][0], ())
        possible = [material for material in department.materials if material not in never]
        values["material"][i] = known.index(possible[int(luck * len(possible))])
    return values, brand, kinds


def make_catalogue(rng: np.random.Generator, n: int, start_us: int, end_us: int) -> Catalogue:
    """Draw ``n`` items; the latest arrivals come last, and all others were there before ``start_us``."""
    values, brand, kinds = _values(rng, n)
    quality = on_grid(rng.normal(0.0, 1.0, n), 1024)
    late = round(n * LATE)
    day = 86_400_000_000
    available = np.full(n, start_us, np.int64)
    available[: n - late] -= np.sort(rng.integers(1, 700, n - late))[::-1] * day
    span = end_us - start_us
    available[n - late :] += np.sort(rng.integers(0, max(int(span * 0.99), 1), late))
    base = np.array([d.price for d in DEPARTMENTS])[values["category"]]
    factor = np.array([0.6, 1.0, 1.9])[values["price"]] * (0.8 + 0.4 * rng.random(n))
    price = np.maximum(np.rint(base * factor), 3.0) - 0.05
    rows = []
    for i in range(n):
        named = {name: block[values[name][i]] for name, block in BLOCKS}
        kind = DEPARTMENTS[values["category"][i]].types[kinds[i]]
        rows.append(_text(rng, kind, sentences.BRANDS[brand[i]], named))
    frame = pl.DataFrame(
        {
            "item_id": [f"i{i:06d}" for i in range(n)],
            "title": [title for title, _ in rows],
            "description": [description for _, description in rows],
            "category": np.array(tuple(words.CATEGORIES))[values["category"]],
            "brand": np.array(sentences.BRANDS)[brand],
            "price": price,
            "available_from": pl.Series(available).cast(pl.Datetime("us", "UTC")),
            "colour": np.array(tuple(words.COLOURS))[values["colour"]],
            "weight_grams": rng.integers(50, 5000, n),
        },
        schema_overrides={"category": pl.String, "brand": pl.String, "colour": pl.String},
    )
    return Catalogue(frame, values, quality, available, price)
