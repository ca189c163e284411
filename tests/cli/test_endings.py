"""Commands that are not let to end by themselves: signals, full disks, closed pipes, narrow terminals."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from occvino.datasets.shipped import SCENE
from occvino.synth.write import synthesize
from tests.cli.command import occvino
from tests.conftest import SYNTH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, mounts and /proc are Linux's here"),
]
COMMAND = [sys.executable, "-c", "from occvino.cli import main; main()"]


def start(*arguments, **options):
    """The command as a process; SIGINT is handled in it even if this one was started in the background."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes
    )


def run(*arguments, check, on=occvino):
    done = on(*arguments)
    assert done.returncode == check, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def wait_for(process, condition):
    while not condition():
        assert process.poll() is None, "it ended too soon: " + process.communicate()[1]
        time.sleep(0.002)


def listens(process):
    """Whether it handles SIGTERM, which Python by itself does not: from here on no signal may end in a traceback."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def names(folder):
    return {path.name for path in folder.iterdir()}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def over(*numbers):
    """Exit codes of a command that was done before the signal: Python itself was ending, and has no handlers then."""
    return (0, *(-number for number in numbers))


def check_end(process, code, words):
    out, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error
    assert "Exception" not in error
    assert error.splitlines()[-1] == words
    assert error.count(words) == 1
    return out, error


@pytest.mark.parametrize(("number", "code", "words"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_signal_during_imports_is_one_line(number, code, words):
    for delay in (0, 0.05, 0.3):
        process = start("info")
        wait_for(process, lambda process=process: listens(process))
        time.sleep(delay)
        process.send_signal(getattr(signal, number))
        if not delay:  # a second one makes no difference
            process.send_signal(getattr(signal, number))
        if process.wait(60) not in over(getattr(signal, number)):
            assert check_end(process, code, words)[1] == f"{words}\n"


def test_a_conversion_leaves_what_was_there_and_what_killed_ones_left_goes(nano, tmp_path):
    out = tmp_path / "a"
    shutil.copytree(nano.path, out)
    before = contents(out)
    arguments = ("convert", "occvino-nano", "--random-weights", "--image-size", "network", "--out", out)
    process = start(*arguments)
    wait_for(process, lambda: len(names(tmp_path)) == 2)
    process.kill()
    process.communicate()
    (left,) = names(tmp_path) - {"a"}
    assert re.fullmatch(rf"\.a\.occvino-{process.pid}-[0-9a-f]{{8}}", left)
    process = start(*arguments)
    wait_for(process, lambda: names(tmp_path) - {"a", left} and left not in names(tmp_path))
    process.send_signal(signal.SIGINT)
    check_end(process, 130, "interrupted")
    assert names(tmp_path) == {"a"}
    assert contents(out) == before


MOMENTS = random.Random(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["convert", "run", "eval", "synth"])
def test_signals_at_random_moments(nano, tmp_path, name, number):
    """Whatever it is doing: the right code, one line, only whole files; and a later run ends as one without a break."""
    arguments = {
        "convert": ("convert", "occvino-nano", "--random-weights", "--image-size", "network", "--out"),
        "run": ("run", nano.path, "--dataset", SCENE, "--out"),
        "eval": ("eval", nano.path, "--dataset", SCENE, "--out"),
        "synth": ("synth", "--scenes", 1, "--seed", 11, "--frames", 2, "--width", 96),
    }[name]
    begun = time.monotonic()
    run(*arguments, tmp_path / "whole" / "x", check=0)
    takes, whole = time.monotonic() - begun, contents(tmp_path / "whole")
    for _ in range(2):
        process = start(*arguments, tmp_path / "o" / "x")
        wait_for(process, lambda process=process: listens(process))
        time.sleep(MOMENTS.uniform(0, takes))
        process.send_signal(number)
        done = process.wait(60) in over(number)
        if not done:
            check_end(process, *((130, "interrupted") if number == signal.SIGINT else (143, "terminated")))
        found = contents(tmp_path / "o") if (tmp_path / "o").exists() else {}
        assert not done or sorted(found) == sorted(whole)
        assert not [path for path in found if ".occvino-" in path]
        assert name == "convert" or found.items() <= whole.items()  # names that the exporter gives may differ
    run(*arguments, tmp_path / "o" / "x", check=0)
    found = contents(tmp_path / "o")
    assert sorted(found) == sorted(whole)
    assert name == "convert" or found == whole


@pytest.fixture
def mounted(tmp_path):
    """To mount a small disk of its own: `mounted("1m")` is an empty folder of so many bytes."""
    folders = []

    def mount(size, *options):
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        told = ("mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs", str(folder))
        try:
            subprocess.run(told, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small disk cannot be mounted here, which needs root: {error}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


def leave(folder, size):
    """Fill a disk up to so many bytes."""
    room = os.statvfs(folder)
    with (folder / "filler").open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, room.f_bavail * room.f_frsize - size)


def disk_error(process, path, reason="the disk is full: free some space, or choose another output"):
    line = process.stderr.splitlines()[-1]
    assert line.startswith("error: cannot write ")
    assert str(path) in line
    assert reason in line
    assert process.stderr.count("error:") == 1


def test_a_full_disk_in_convert(mounted):
    disk = mounted("1m")
    done = run("convert", "occvino-nano", "--image-size", "network", "--out", disk / "a", check=2)
    disk_error(done, disk / "a")
    assert names(disk) == set()


def test_a_full_disk_in_run_keeps_labels_and_picture_together(nano, frame, mounted):
    disk = mounted("128m")  # logits are 46 MB, and in fp32 hardly become less when compressed
    arguments = ("run", nano.path, "--images", frame, "--rig", frame / "rig.json", "--out", disk / "o")
    run(*arguments, check=0)
    before = contents(disk)
    assert set(before) == {"o/labels.npz", "o/bev.png"}
    leave(disk, len(before["o/labels.npz"]) + 8192)  # room for new labels, and not for a new picture
    disk_error(run(*arguments, check=2), disk / "o" / "bev.png")
    (disk / "filler").unlink()
    assert contents(disk) == before
    leave(disk, 0)
    done = run("run", nano.path, "--dataset", SCENE, "--limit", 1, "--out", disk / "many", check=2)
    disk_error(done, disk / "many" / "run.json")
    done = run(*arguments[:-1], disk.parent / "o", "--cache", disk / "c", check=2)
    disk_error(done, f"a compiled model to cache={disk / 'c'}")
    assert not (disk.parent / "o").exists()


def test_a_full_disk_in_synth_and_a_read_only_one(mounted):
    disk = mounted("40k")
    done = run("synth", disk / "s", "--scenes", 1, "--seed", 11, "--frames", 1, "--width", 96, check=2)
    disk_error(done, disk / "s")
    assert not [name for _, _, names in os.walk(disk) for name in names if ".occvino-" in name]
    read_only = mounted("1m", "ro")
    done = run("synth", read_only / "s", check=2)
    disk_error(done, read_only / "s", "the file system is read-only: choose an output on another one")


def test_a_full_disk_in_verify_and_eval(nano, mounted):
    disk = mounted("64m")
    shutil.copytree(nano.path, disk / "a")
    before = contents(disk / "a")
    leave(disk, 0)
    told = run("verify", disk / "a", check=0).stderr  # what was measured is told all the same
    words = (
        f"warning: the result is not recorded in the manifest: cannot write {disk / 'a' / 'occvino.json'}: the disk is"
    )
    assert words in told
    assert contents(disk / "a") == before
    (disk / "filler").unlink()
    leave(disk, 8192)
    done = run("eval", nano.path, "--dataset", SCENE, "--out", disk / "labels", check=2)
    disk_error(done, "/labels.npz: ")
    assert list(contents(disk / "labels")) == ["eval.json"]


def test_nobody_reads_what_is_printed():
    process = start("info", "--json")
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()
    with Path("/dev/full").open("w") as full:
        process = start("info", stdout=full)
    assert "error: cannot write the output: the disk is full" in process.communicate()[1]
    assert process.returncode == 2


def plainly(*arguments, **environment):
    """In a process that reads its environment when it starts."""
    command, environment = [*COMMAND, *map(str, arguments)], {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_letters_that_the_terminal_does_not_have_fail_nothing(nano, frame, tmp_path, environment):
    out = tmp_path / "etykiety-ź"
    arguments = ("run", nano.path, "--images", frame, "--rig", frame / "rig.json", "--out", out)
    on = partial(plainly, **environment)
    done = run(*arguments, check=0, on=on)
    assert "wrote " in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["bev.png", "labels.npz"]
    assert run("info", check=0, on=on).stdout.isascii()


def test_synthesis_that_was_damaged_is_told_or_made_anew(scenes, tmp_path):
    from occvino.files import OutputError

    copy = shutil.copytree(scenes, tmp_path / "s")
    whole = contents(copy)
    record, image = copy / ".scenes" / "scene-0001.json", next(copy.glob("samples/CAM_FRONT/*.jpg"))
    for harm in (lambda: record.write_text("{"), image.unlink):
        harm()
        assert list(synthesize(copy, 1, SYNTH)) == ["scene-0001"]
        assert contents(copy) == whole
    (copy / "synth.json").write_text('{"seed"')
    with pytest.raises(OutputError, match=r"synth\.json is damaged .*: delete .*, or choose another folder"):
        list(synthesize(copy, 1, SYNTH))
