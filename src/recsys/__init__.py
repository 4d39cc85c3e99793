"""A text-aware recommender: a fine-tuned language model, behaviour features and a reranker.

The public names are loaded when first used, so that ``import recsys`` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Ranker", "__version__"]

_PUBLIC = {"Ranker": "recsys.serving.ranker"}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'recsys' has no attribute {name!r}")
