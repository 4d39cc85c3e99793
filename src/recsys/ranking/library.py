"""LightGBM itself, for those who grow trees. The only file that imports it."""

from typing import Any

from recsys.core.errors import MissingExtraError


def lightgbm() -> Any:
    """The module; ``MissingExtraError`` where it is not installed."""
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError("lightgbm", "train") from error
    return lightgbm
