import errno
from pathlib import Path

import pytest

from recsys.core import exchange as exchanging
from recsys.core.exchange import aside, exchange


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"of {name}")
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.parametrize("at_once", [True, False])
def test_two_folders_change_names(
    two: tuple[Path, Path], at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr(exchanging, "_in_one_step", lambda place, other: errno.EINVAL)
    a, b = two
    with (a / "file").open() as open_file:
        exchange(a, b)
        assert open_file.read() == "of a"  # who has it open goes on
    assert ((a / "file").read_text(), (b / "file").read_text()) == ("of b", "of a")
    assert sorted(path.name for path in a.parent.iterdir()) == ["a", "b"] and not aside(a).exists()


def test_what_is_not_there_is_named(two: tuple[Path, Path]) -> None:
    a, b = two
    with pytest.raises(FileNotFoundError) as caught:
        exchange(a, b.with_name("c"))
    assert (caught.value.filename, caught.value.filename2) == (str(a), str(b.with_name("c")))
    assert (a / "file").read_text() == "of a"
