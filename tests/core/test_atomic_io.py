"""Files appear whole or not at all, and nothing is replaced unless the caller asks for it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from adumbra.core import atomic_io
from adumbra.core.atomic_io import write_all_atomically, write_atomically
from adumbra.core.errors import OutputRefused


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_are_written_in_folders_that_are_created(tmp_path: Path) -> None:
    paths = write_all_atomically({"a/b/one.txt": b"1", "two.txt": b"2"}, tmp_path / "new")
    assert [path.read_bytes() for path in paths] == [b"1", b"2"]
    assert names(tmp_path / "new") == ["a", "a/b", "a/b/one.txt", "two.txt"]


def test_an_existing_file_is_refused_by_name_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_bytes(b"old")
    with pytest.raises(OutputRefused, match=r"two\.txt"):
        write_all_atomically({"one.txt": b"1", "two.txt": b"2"}, tmp_path)
    assert names(tmp_path) == ["two.txt"]
    assert (tmp_path / "two.txt").read_bytes() == b"old"


def test_overwriting_must_be_requested(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_bytes(b"old")
    write_all_atomically({"two.txt": b"new"}, tmp_path, overwrite=True)
    assert (tmp_path / "two.txt").read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_files_and_no_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.txt").write_bytes(b"old")
    write = atomic_io._write_flushed

    def full(path: Path, content: bytes) -> None:
        if content == b"2":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(atomic_io, "_write_flushed", full)
    with pytest.raises(OutputRefused, match="No space left"):
        write_all_atomically({"one.txt": b"1", "two.txt": b"2"}, tmp_path, overwrite=True)
    assert names(tmp_path) == ["one.txt"]
    assert (tmp_path / "one.txt").read_bytes() == b"old"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputRefused, match="out"):
        write_all_atomically({"one.txt": b"1"}, tmp_path / "out")
    with pytest.raises(OutputRefused, match=r"one\.txt"):
        write_atomically(tmp_path / "out" / "one.txt", b"1")


def test_one_file_is_replaced_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write_atomically(tmp_path / "one.txt", content)
        assert (tmp_path / "one.txt").read_bytes() == content
    write_atomically(str(tmp_path / "two.txt"), b"")
    assert names(tmp_path) == ["one.txt", "two.txt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "one.txt", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputRefused, match="No space left"):
        write_atomically(tmp_path / "one.txt", b"new")
    assert names(tmp_path) == ["one.txt"]
    assert (tmp_path / "one.txt").read_bytes() == b"old"


def test_two_writers_of_one_file_have_temporary_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, temporary = atomic_io._write_flushed, []

    def interleaved(path: Path, content: bytes) -> None:
        write(path, content)
        temporary.append(path.name)
        if content == b"first":
            write_atomically(tmp_path / "one.txt", b"second")

    monkeypatch.setattr(atomic_io, "_write_flushed", interleaved)
    write_atomically(tmp_path / "one.txt", b"first")
    assert len(set(temporary)) == 2
    assert (tmp_path / "one.txt").read_bytes() == b"first"
    assert names(tmp_path) == ["one.txt"]


def test_a_platform_without_folder_handles_writes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    write_atomically(tmp_path / "one.txt", b"1")
    write_all_atomically({"two.txt": b"2"}, tmp_path)
    assert names(tmp_path) == ["one.txt", "two.txt"]


@pytest.mark.parametrize(("code", "refused"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_flush_folders_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, refused: bool
) -> None:
    flush = os.fsync

    def on_files_alone(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        flush(handle)

    monkeypatch.setattr(os, "fsync", on_files_alone)
    if refused:
        with pytest.raises(OutputRefused, match=os.strerror(code)):
            write_atomically(tmp_path / "one.txt", b"1")
    else:
        write_atomically(tmp_path / "one.txt", b"1")
    assert (tmp_path / "one.txt").read_bytes() == b"1"
