"""Every column name and every fixed word of the tables, once."""

from typing import Final

USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
EVENT_ID: Final = "event_id"
REQUEST_ID: Final = "request_id"
SESSION_ID: Final = "session_id"
TIMESTAMP: Final = "timestamp"
EVENT_TYPE: Final = "event_type"
VALUE: Final = "value"
PRICE: Final = "price"
POSITION: Final = "position"
PROPENSITY: Final = "propensity"
CLICKED: Final = "clicked"

TITLE: Final = "title"
DESCRIPTION: Final = "description"
CATEGORY: Final = "category"
BRAND: Final = "brand"
TEXT: Final = "text"
AVAILABLE_FROM: Final = "available_from"
AVAILABLE_TO: Final = "available_to"

USER: Final = "user"  # integer codes: dense, append-only, -1 unknown
ITEM: Final = "item"
REQUEST: Final = "request"
LOG_REQUEST: Final = "log_request"  # the request's code in the event log, -1 where it logged nothing
WINDOW: Final = "window"
FOLD: Final = "fold"
N_CATALOGUE: Final = "n_catalogue"
LABEL: Final = "label"
SHOWN: Final = "shown"
CONTEXT_PREFIX: Final = "ctx_"

MODEL: Final = "model"
VARIANT: Final = "variant"
SEED: Final = "seed"
SCORE: Final = "score"
RANK: Final = "rank"
P_CLICK: Final = "p_click"
P_PURCHASE: Final = "p_purchase"
METRIC: Final = "metric"
K: Final = "k"
SLICE: Final = "slice"
CI_LOW: Final = "ci_low"
CI_HIGH: Final = "ci_high"
N: Final = "n"

EVENT_TYPES: Final = ("impression", "click", "cart", "purchase", "rating", "return")
IMPRESSION, CLICK, CART, PURCHASE, RATING, RETURN = range(6)
INTERACTIONS: Final = (CLICK, CART, PURCHASE, RATING)  # what enters a history

LABELS: Final = {"click": 1, "cart": 2, "purchase": 3, "rating": 3}  # relevance of a truth row; 0 is none
WINDOWS: Final = ("fit", "rank", "valid", "test")

BASELINES: Final = (
    "random",
    "popularity",
    "recent_popularity",
    "transition",
    "item_knn",
    "ease",
    "als",
    "bpr",
    "sasrec",
    "text_raw",
)
MODELS: Final = (
    *BASELINES,
    "encoder",
    "text_only",
    "behaviour_only",
    "no_interest",
    "full",
    "learnable",
    "oracle",
)
VARIANTS: Final = ("default", "strict", "refit", "live", "daily")
