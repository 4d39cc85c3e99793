"""The demo shop's vocabulary: every true attribute, and the many ways of saying it.

A model that understands the wordings has an advantage over one that counts them.
"""

from typing import Final, NamedTuple

# fmt: off

class Department(NamedTuple):
    """A category: the things it sells (each with its other names), what they are made of, a price."""

    types: tuple[tuple[str, ...], ...]
    materials: tuple[str, ...]
    price: float


CATEGORIES: Final[dict[str, Department]] = {
    "furniture": Department(
        (("armchair", "lounge chair"), ("side table", "end table"), ("bookshelf", "bookcase"),
         ("desk", "writing table"), ("stool", "footstool"), ("sideboard", "credenza"),),
        ("wood", "metal", "bamboo", "leather", "recycled plastic"),
        180.0,
    ),
    "lighting": Department(
        (("table lamp", "bedside light"), ("floor lamp", "standing light"),
         ("pendant light", "hanging lamp"), ("wall sconce", "wall light"),
         ("chandelier", "ceiling fixture"), ("reading lamp", "task light"),),
        ("metal", "glass", "ceramic", "bamboo", "linen"),
        75.0,
    ),
    "kitchen": Department(
        (("mixing bowl", "salad bowl"), ("cutting board", "chopping block"), ("teapot", "tea kettle"),
         ("serving tray", "platter"), ("storage jar", "canister"), ("coffee mug", "cup"),),
        ("wood", "metal", "glass", "ceramic", "bamboo"),
        30.0,
    ),
    "bedding": Department(
        (("duvet cover", "comforter cover"), ("pillow", "cushion"), ("quilt", "bedspread"),
         ("throw blanket", "coverlet"), ("sheet set", "bed linen"), ("mattress topper", "bed pad"),),
        ("cotton", "linen", "wool", "bamboo"),
        60.0,
    ),
    "clothing": Department(
        (("jacket", "coat"), ("cardigan", "jumper"), ("shirt", "blouse"), ("scarf", "shawl"),
         ("dress", "tunic"), ("pair of trousers", "pair of slacks"),),
        ("cotton", "linen", "wool", "leather", "recycled plastic"),
        70.0,
    ),
    "footwear": Department(
        (("pair of boots", "pair of ankle boots"), ("pair of sandals", "pair of slides"),
         ("pair of sneakers", "pair of trainers"), ("pair of loafers", "pair of moccasins"),
         ("pair of slippers", "pair of house shoes"), ("pair of clogs", "pair of mules"),),
        ("leather", "cotton", "wool", "recycled plastic"),
        85.0,
    ),
    "bags": Department(
        (("backpack", "rucksack"), ("tote", "shopper"), ("satchel", "messenger bag"),
         ("duffel", "weekender"), ("wallet", "billfold"), ("clutch", "handbag"),),
        ("leather", "cotton", "linen", "wool", "recycled plastic"),
        65.0,
    ),
    "jewellery": Department(
        (("necklace", "pendant chain"), ("bracelet", "bangle"), ("ring", "finger band"),
         ("pair of earrings", "set of ear studs"), ("brooch", "lapel pin"), ("wristwatch", "timepiece"),),
        ("metal", "glass", "wood", "ceramic", "leather"),
        55.0,
    ),
    "toys": Department(
        (("set of building blocks", "stacking brick set"), ("jigsaw", "puzzle"),
         ("teddy", "stuffed animal"), ("toy train", "pull-along engine"), ("doll", "puppet"),
         ("board game", "tabletop game"),),
        ("wood", "cotton", "wool", "metal", "recycled plastic"),
        28.0,
    ),
    "garden": Department(
        (("planter", "flower pot"), ("watering can", "sprinkling jug"), ("bench", "patio seat"),
         ("bird feeder", "bird table"), ("trellis", "climbing frame for plants"),
         ("hand trowel", "garden fork"),),
        ("wood", "metal", "ceramic", "bamboo", "recycled plastic"),
        45.0,
    ),
    "sports": Department(
        (("yoga mat", "exercise mat"), ("water bottle", "drinking flask"), ("hammock", "hanging bed"),
         ("skipping rope", "jump rope"), ("set of dumbbells", "pair of hand weights"),
         ("bicycle basket", "handlebar bag"),),
        ("metal", "cotton", "bamboo", "wool", "recycled plastic"),
        35.0,
    ),
    "stationery": Department(
        (("notebook", "journal"), ("fountain pen", "writing pen"), ("desk organiser", "pencil pot"),
         ("letter tray", "paper rack"), ("photo album", "scrapbook"), ("calendar", "planner"),),
        ("wood", "metal", "leather", "linen", "recycled plastic"),
        22.0,
    ),
    "decor": Department(
        (("wall clock", "hanging clock"), ("mirror", "looking glass"), ("vase", "flower jug"),
         ("picture frame", "photo frame"), ("candle holder", "tealight stand"),
         ("wall hanging", "tapestry"),),
        ("wood", "metal", "glass", "ceramic", "cotton", "wool"),
        40.0,
    ),
}

# What a thing is never made of, though others of its department are.
UNLIKELY: Final[dict[str, tuple[str, ...]]] = {
   "teddy": ("wood", "metal", "recycled plastic"), "doll": ("metal",),
    "jigsaw": ("cotton", "wool", "metal"), "toy train": ("cotton", "wool"),
    "board game": ("cotton", "wool"), "set of building blocks": ("metal",), "bicycle basket": ("wool",),
    "yoga mat": ("metal",), "water bottle": ("cotton", "wool"), "hammock": ("metal",),
    "skipping rope": ("bamboo",), "set of dumbbells": ("cotton", "bamboo", "wool"),
    "fountain pen": ("linen",), "desk organiser": ("linen",), "letter tray": ("linen",),
    "bookshelf": ("leather",), "shirt": ("leather",), "dress": ("leather",), "pair of sandals": ("wool",),
    "wall clock": ("cotton",), "mirror": ("cotton", "wool"), "vase": ("cotton", "wool"),
    "candle holder": ("cotton", "wool"), "wall hanging": ("glass", "ceramic"),
    "pair of earrings": ("leather",), "ring": ("leather",), "pillow": ("bamboo",),
    "reading lamp": ("linen",), "hand trowel": ("ceramic", "bamboo"), "bench": ("ceramic",),
    "trellis": ("ceramic",),

}

# Each wording: a word for the title and a phrase for the description.
STYLES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "minimalist": (("minimalist", "clean lines and nothing more"),
        ("understated", "a calm shape without any ornament"),
        ("sleek", "a form reduced to the bare essentials"), ("simple", "quiet Scandinavian restraint"),
        ("uncluttered", "a plain, unfussy silhouette"),),
    "rustic": (("rustic", "the honest charm of a country cottage"),
        ("farmhouse", "rough edges kept on purpose"), ("weathered", "the air of a mountain cabin"),
        ("rough-hewn", "an earthy, homespun character"), ("country", "the worn warmth of an old barn"),),
    "vintage": (("vintage", "a nod to the nineteen fifties"), ("retro", "the look of a flea market find"),
        ("antique-look", "the nostalgia of another era"),
        ("old-fashioned", "details that your grandmother would remember"),
        ("mid-century", "lines borrowed from a classic of decades past"),),
    "industrial": (("industrial", "the mood of a converted warehouse"),
        ("factory", "visible rivets and raw joints"), ("workshop", "the build of a piece of machinery"),
        ("loft-style", "a tough, utilitarian look"), ("engineered", "exposed hardware and straight angles"),),
    "bohemian": (("bohemian", "a free-spirited mix of patterns"),
        ("boho", "tassels and hand-worked folk motifs"), ("folk", "the colours of bazaars and wanderers"),
        ("eclectic", "a layered, artistic and slightly wild spirit"),
        ("hand-patterned", "ornaments from faraway markets"),),
    "glamorous": (("glamorous", "a touch of Hollywood sparkle"),
        ("opulent", "the splendour of a grand ballroom"),
        ("art deco", "shimmering details that catch the eye"), ("lavish", "gleaming accents all over"),
        ("regal", "unashamedly decadent dazzle"),),
    "playful": (("playful", "a wink of humour in every detail"),
        ("quirky", "funny little faces hidden in the design"), ("whimsical", "a cartoonish, cheerful air"),
        ("cheeky", "a shape that makes people smile"), ("fun", "bouncy curves like candy"),),
    "nautical": (("nautical", "ropes and anchors as on an old ship"), ("coastal", "a breath of sea air"),
        ("seaside", "shells, stripes and driftwood tones"), ("maritime", "a sailor's sense of order"),
        ("beachy", "the feel of a morning by the harbour"),),
}

MATERIALS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "wood": (("oak", "solid oak from managed forests"), ("walnut", "oiled walnut with a lively grain"),
        ("pine", "knotty timber, sanded by hand"), ("wooden", "seasoned beech"),),
    "metal": (("steel", "brushed stainless steel"), ("brass", "burnished brass"), ("iron", "forged iron"),
        ("aluminium", "lightweight alloy"),),
    "glass": (("glass", "mouth-blown glass"), ("crystal", "cut crystal"),
        ("glazed glass", "thick recycled bottles, melted and poured"),
        ("transparent", "clear, see-through panes"),),
    "ceramic": (("ceramic", "kiln-fired clay"), ("stoneware", "glazed stoneware"),
        ("porcelain", "fine bone china"), ("terracotta", "baked earthenware"),),
    "cotton": (("cotton", "organic cotton"), ("canvas", "sturdy canvas"), ("denim", "washed denim"),
        ("jersey", "soft percale"),),
    "linen": (("linen", "stone-washed linen"), ("flax", "natural flax fibre"),
        ("woven", "airy European flax cloth"), ("hemp", "breathable hemp weave"),),
    "wool": (("wool", "merino wool"), ("felt", "thick pressed felt"), ("cashmere", "brushed cashmere"),
        ("knitted", "lambswool yarn"),),
    "leather": (("leather", "full-grain leather"), ("suede", "velvety suede"),
        ("hide", "vegetable-tanned cowhide"), ("nubuck", "supple nubuck"),),
    "bamboo": (("bamboo", "fast-growing bamboo"), ("rattan", "hand-woven rattan"), ("cane", "split cane"),
        ("wicker", "plaited wicker"),),
    "recycled plastic": (("recycled", "plastic fished from the ocean"),
        ("eco-polymer", "reclaimed polyester"), ("upcycled", "regenerated nylon"),
        ("vegan", "reborn drinks bottles"),),
}

USES: Final[dict[str, tuple[str, ...]]] = {
    "outdoor adventure": ("made for camping trips and campfires", "at home on a mountain trail",
        "for hikers and nights under the stars", "ready for the wilderness",),
    "hosting guests": ("perfect when friends come to dinner", "meant for parties",
        "for hosts who love a full table", "made to be shown to company",),
    "working from home": ("ideal for the home office", "for long days at the keyboard",
        "a help when you must focus on the job", "a companion for study and meetings",),
    "relaxing": ("for lazy evenings by the fire", "an invitation to unwind",
        "made for bubble baths and slow Sundays", "soothing after a tiring week",),
    "family life": ("safe with toddlers and sticky fingers", "for busy parents and growing children",
        "made for the whole household", "loved by kids, trusted by mums",),
    "travelling": ("sized for a cabin suitcase", "for commuters and globetrotters",
        "ready for the next flight", "light enough for a long journey",),
    "giving presents": ("boxed with a ribbon", "a thoughtful surprise for birthdays",
        "a wedding present they will keep", "for someone you adore",),
    "summer sunshine": ("for barbecues and hot afternoons", "made for the poolside", "best in July heat",
        "a treat for picnics in the sun",),
}

COLOURS: Final[dict[str, tuple[str, ...]]] = {
    "white": ("white", "ivory", "chalk", "cream",),
    "black": ("black", "onyx", "charcoal", "jet",),
    "blue": ("blue", "navy", "cobalt", "azure",),
    "green": ("green", "sage", "emerald", "olive",),
    "red": ("red", "crimson", "ruby", "scarlet",),
    "yellow": ("yellow", "mustard", "lemon", "saffron",),
    "brown": ("brown", "chestnut", "cocoa", "tan",),
    "pink": ("pink", "blush", "rose", "coral",),
}

PRICES: Final[dict[str, tuple[str, ...]]] = {
    "budget": ("Easy on the wallet.", "A bargain for what it does.", "Costs less than you think.",
        "Great value.",),
    "middle": ("Fairly priced.", "Sensible money, well spent.", "A solid everyday choice.",
        "Neither cheap nor dear.",),
    "premium": ("An investment for life.", "For those who want the finest.", "Exclusive, in small numbers.",
        "The luxury edition.",),
}

# The day of the year on which each use is most wanted.
SEASON_PEAKS: Final[dict[str, int]] = {
   "outdoor adventure": 200, "hosting guests": 330, "working from home": 20, "relaxing": 10,
    "family life": 90, "travelling": 170, "giving presents": 345, "summer sunshine": 190,

}
# fmt: on
