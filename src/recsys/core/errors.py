"""Errors that say what was expected, what was found, and what to do."""

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80
_SHORT.maxdict = 10


def shown(value: object) -> str:
    """A value that a caller gave, as an error prints it: whatever it is, a line at most."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # a whole number of more digits than Python writes down
        return "a number too long to print"


class RecsysError(ValueError):
    """A problem that the caller can mend; the command line ends with exit code 2.

    Parameters
    ----------
    what : str
        The thing that is wrong, named as the user knows it (a file, a column, a config key).
    expected, found, do : str
        What should have been there, what was, and the way out.
    """

    def __init__(self, what: str, *, expected: str, found: str, do: str) -> None:
        self.what, self.expected, self.found, self.do = what, expected, found, do
        super().__init__(f"{what}: expected {expected}; found {found}. {do}")


class DataError(RecsysError):
    """Input tables that cannot be used as they are."""


class ConfigError(RecsysError):
    """An unknown key, a misspelt value, or a combination that cannot work."""


class BundleError(RecsysError):
    """A model folder that is incomplete, damaged, or of another version."""


class MissingExtraError(RecsysError):
    """A library that this command needs is not installed."""

    def __init__(
        self, library: str, extra: str, *, found: str = "no such module", do: str | None = None
    ) -> None:
        super().__init__(
            f"the library {library}",
            expected=f"it to be installed (extra [{extra}])",
            found=found,
            do=do or f"Run: pip install 'recsys[{extra}]'",
        )
