"""Files appear whole or not at all, and nothing is replaced without being asked."""

from pathlib import Path

import pytest

from adumbra.core.errors import OutputRefused
from adumbra.report import staging as module
from adumbra.report.staging import published


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_are_written_in_folders_that_are_made(tmp_path: Path) -> None:
    paths = published({"a/b/one.txt": b"1", "two.txt": b"2"}, tmp_path / "new")
    assert [path.read_bytes() for path in paths] == [b"1", b"2"]
    assert names(tmp_path / "new") == ["a", "a/b", "a/b/one.txt", "two.txt"]


def test_an_existing_file_is_refused_by_name_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_bytes(b"old")
    with pytest.raises(OutputRefused, match=r"two\.txt"):
        published({"one.txt": b"1", "two.txt": b"2"}, tmp_path)
    assert names(tmp_path) == ["two.txt"]
    assert (tmp_path / "two.txt").read_bytes() == b"old"


def test_overwriting_must_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_bytes(b"old")
    published({"two.txt": b"new"}, tmp_path, overwrite=True)
    assert (tmp_path / "two.txt").read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_files_and_no_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.txt").write_bytes(b"old")
    real = module._staged

    def full(path: Path, content: bytes) -> Path:
        if content == b"2":
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(module, "_staged", full)
    with pytest.raises(OutputRefused, match="No space left"):
        published({"one.txt": b"1", "two.txt": b"2"}, tmp_path, overwrite=True)
    assert names(tmp_path) == ["one.txt"]
    assert (tmp_path / "one.txt").read_bytes() == b"old"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputRefused, match="out"):
        published({"one.txt": b"1"}, tmp_path / "out")
