"""Every error says what, what was expected, what was found, and what to do; the caller may read the parts."""

import pytest

from recsys.core.errors import BundleError, ConfigError, DataError, MissingExtraError, RecsysError, shown


@pytest.mark.parametrize("kind", [DataError, ConfigError, BundleError])
def test_one_sentence_of_four_parts(kind: type[RecsysError]) -> None:
    error = kind("file a.csv", expected="rows", found="none", do="Give it rows.")
    assert str(error) == "file a.csv: expected rows; found none. Give it rows."
    assert (error.what, error.expected, error.found, error.do) == (
        "file a.csv",
        "rows",
        "none",
        "Give it rows.",
    )


def test_a_value_is_shown_in_a_line() -> None:
    assert shown("many") == "'many'" and shown(None) == "None" and shown(("u0", "i1")) == "('u0', 'i1')"
    for value in ("x" * 10_000, list(range(10_000)), dict.fromkeys(range(1000), "x" * 1000), 10**4_000):
        assert len(shown(value)) < 900
    assert shown(10**5000) == "a number too long to print"


def test_the_command_line_can_catch_them_all_as_one() -> None:
    for kind in (DataError, ConfigError, BundleError):
        assert issubclass(kind, RecsysError)
    assert issubclass(RecsysError, ValueError), "code that knows nothing of recsys sees a ValueError"
    assert not issubclass(DataError, ConfigError) and not issubclass(ConfigError, DataError)


def test_the_parts_must_be_named() -> None:
    with pytest.raises(TypeError):
        DataError("file", "rows", "none", "Mend it.")  # type: ignore[misc, call-arg]
    with pytest.raises(TypeError):
        DataError("file", expected="rows", found="none")  # type: ignore[call-arg]


def test_a_missing_library_names_the_command_that_installs_it() -> None:
    error = MissingExtraError("torch", "train")
    assert str(error) == (
        "the library torch: expected it to be installed (extra [train]); found no such module. "
        "Run: pip install 'recsys[train]'"
    )
    assert isinstance(error, RecsysError)
