"""The demo shop's sentences: brands, templates of titles and descriptions, and customers in words."""

from typing import Final, NamedTuple

# fmt: off

class Persona(NamedTuple):
    """A kind of customer in words; each liked word names a value of an attribute."""

    words: str
    likes: tuple[str, ...]


BRANDS: Final = (
   "Alder & Finch", "Norrvik", "Casa Lumen", "Threadwell", "Oakhollow", "Bramble Lane", "Kestrel",
    "Maison Orly", "Tidewater", "Fable & Co", "Juniper Row", "Hearthside", "Polkadot", "Stonebridge",
    "Wayfarer", "Zephyr", "Copperfield", "Lumi", "Marlowe", "Nettle", "Quill", "Rowan", "Saltmarsh",
    "Verano", "Willow & Wren", "Yarrow", "Atelier Nine", "Birchwood", "Clementine", "Dovecote", "Everly",
    "Foxglove", "Greyfriars", "Harbour Light", "Ironbark", "Kindling", "Larkspur", "Meridian", "Old Mill",
    "Pemberton",

)

PRAISE: Final = (
   "Well made and easy to care for.", "Our customers keep coming back for it.",
    "Checked by hand before it leaves us.", "Ships within two days.",
    "Small batches, each one slightly different.", "Comes with a two year guarantee.",
    "A favourite of our team.", "Designed in house.", "Free returns for thirty days.", "Pleasant to touch.",

)

TITLES: Final = (
    "{brand} {style} {type} in {colour}",
    "{style} {material} {type}",
    "{brand} {type}, {material}, {colour}",
    "{colour} {type} by {brand}",
    "{brand} {material} {type}",
    "{style} {type} of {material}",
    "{colour} {material} {type}",
)

DESCRIPTIONS: Final = (
    "This {other} has {style}. Made of {material}, {use}. {price} {praise}",
    "{Use}: a {colour} {other} in {material}. {Style}. {price}",
    "We wanted a {other} with {style}, so we chose {material}. {Use}. {praise}",
    "{Style}, worked in {material}. This {colour} {other} is {use}. {praise} {price}",
    "{Material} gives this {other} its feel. Expect {style}. {Use}. {price}",
    "{praise} A {other} {use}, with {style}. The {colour} finish suits {material}. {price}",
    "Think of {style}. Think of {material}. Now picture a {colour} {other}, {use}. {praise}",
)

PERSONAS: Final = (
    Persona("a minimalist who works at home", ("furniture", "stationery", "lighting", "minimalist",
        "working from home", "wood", "white", "premium",)),
    Persona("a hiker with a light pack", ("footwear", "bags", "sports", "industrial", "outdoor adventure",
        "recycled plastic", "green", "middle",)),
    Persona("parents of small children", ("toys", "clothing", "bedding", "playful", "family life", "cotton",
        "yellow", "budget",)),
    Persona("a host with a country kitchen", ("kitchen", "decor", "garden", "rustic", "hosting guests",
        "ceramic", "brown", "middle",)),
    Persona("a collector of old things", ("decor", "lighting", "jewellery", "vintage", "giving presents",
        "metal", "red", "premium",)),
    Persona("a dreamer with plants and shawls", ("garden", "clothing", "bedding", "bohemian", "relaxing",
        "linen", "pink", "budget",)),
    Persona("a lover of sparkle", ("jewellery", "bags", "footwear", "glamorous", "hosting guests", "glass",
        "black", "premium",)),
    Persona("a sailor on holiday", ("sports", "bags", "garden", "nautical", "summer sunshine", "bamboo",
        "blue", "middle",)),
    Persona("a city commuter", ("bags", "clothing", "stationery", "industrial", "travelling", "leather",
        "black", "middle",)),
    Persona("a homebody with a reading corner", ("bedding", "furniture", "kitchen", "rustic", "relaxing",
        "wool", "brown", "budget",)),
)
# fmt: on
