"""What is left of a write that fails, or of a process that was killed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from occvino import files
from occvino.files import OutputError, atomic_file, atomic_folder, remove_stale, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def _half(path, number):
    path.write_text("half")
    raise OSError(number, "as the system says it")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ENOSPC", "the disk is full: free some space, or choose another output"),
        ("EDQUOT", "your disk quota is used up: delete something of yours, or choose another output"),
        ("EROFS", "the file system is read-only: choose an output on another one"),
    ],
)
def test_what_the_disk_refuses_names_path_reason_and_fix_and_keeps_what_was_there(tmp_path, name, words):
    target = tmp_path / "new" / "labels.npz"
    with pytest.raises(OutputError) as told, atomic_file(target):
        raise OSError(getattr(errno, name), "as the system says it")
    assert str(told.value) == f"cannot write {target}: {words}"
    assert names(tmp_path) == []
    write_text(target, "before")
    with pytest.raises(OutputError), atomic_file(target) as temporary:
        _half(temporary, getattr(errno, name))
    assert target.read_text() == "before"
    assert names(target.parent) == ["labels.npz"]


def test_other_errors_are_not_taken_for_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "a", may_replace=lambda _: False):
        Path(tmp_path / "the user's").read_bytes()
    with pytest.raises(RuntimeError, match="a bug"), atomic_folder(tmp_path / "a", may_replace=lambda _: False):
        raise RuntimeError("a bug")
    assert names(tmp_path) == []


def test_a_library_that_hides_a_full_disk_is_seen_through(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "no_room", lambda folder, size: OSError(errno.ENOSPC, "full"))
    words = r"x: the disk is full: .*: basic_ios::clear: iostream error$"
    with pytest.raises(OutputError, match=words), atomic_file(tmp_path / "x"):
        raise RuntimeError("basic_ios::clear: iostream error\nmore of it")


@pytest.fixture
def dead():
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_only_what_dead_processes_of_ours_left_is_removed(tmp_path, dead):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as alive:
        kept = [f".m0.occvino-{alive.pid}-01234567", ".m0-abcd1234", ".m0.occvino-notes", ".m0.occvino-12-zz345678"]
        for name in (*kept, f".m0.occvino-{dead}-01234567"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "model.xml").write_text("half")
        (tmp_path / f".labels.occvino-{dead}-01234567.npz").write_text("half")
        remove_stale(tmp_path)
        assert names(tmp_path) == sorted(kept)


def test_who_was_killed_between_two_renames_has_lost_nothing(tmp_path, dead):
    aside = tmp_path / f".m0.occvino-{dead}-old-01234567"
    (aside / "old").mkdir(parents=True)
    (aside / "old" / "mine").write_text("before")
    remove_stale(tmp_path)
    assert names(tmp_path) == ["m0"]
    assert (tmp_path / "m0" / "mine").read_text() == "before"


def test_what_is_written_has_the_rights_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
        with atomic_folder(tmp_path / "b", may_replace=lambda _: False):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o640, 0o750]


def test_long_names_can_be_written(tmp_path):
    name = "a" * 250 + ".npz"
    with atomic_file(tmp_path / name) as temporary:
        np.savez(temporary, a=1)
    assert names(tmp_path) == [name]
