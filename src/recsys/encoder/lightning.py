"""Lightning, imported without the deprecation warnings of the libraries that it imports itself."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", FutureWarning)
    import pytorch_lightning as pl

__all__ = ["pl"]
