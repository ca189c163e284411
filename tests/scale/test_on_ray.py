"""`occvino batch --engine ray`: actors that are killed, a driver that is killed, and frames that kill."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from occvino.artifact import Artifact
from occvino.conversion import convert
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import DeviceError, OccvinoError
from occvino.runtime import Frame
from occvino.scale.manifest import read_manifest
from occvino.scale.on_ray import Actor, Pool, cluster, pool_of, run_on_ray, unit_size
from occvino.scale.plan import marks_of, units_of
from occvino.scale.source import LocalSource
from occvino.scale.watch import Watch
from occvino.scale.work import Result, Setup, Task, Unit
from occvino.scale.worker import Worker, run_here
from tests.scale.sets import batch, command, files, labelled
from tests.small import WIDE, known

pytestmark = pytest.mark.slow

pytest.importorskip("ray")
RAY = ("--precision", "fp32", "--engine", "ray", "--actors", 2, "--threads", 1)


@contextlib.contextmanager
def running(*arguments):
    """`occvino batch` in a process group of its own, which is gone at the end."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()


def descendants(pid):
    """Process ids of all that a process has started, and what they are called."""
    found, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    wanted = {pid}
    while more := {child for child, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    for child in wanted - {pid}:
        with contextlib.suppress(OSError):
            found[child] = (Path("/proc") / str(child) / "cmdline").read_text().replace("\0", " ")
    return found


def wait(condition, seconds=150):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def listening(pid):
    """Addresses that the processes of a driver listen on."""
    inodes = set()
    for child in (pid, *descendants(pid)):
        for link in Path(f"/proc/{child}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(str(link.readlink()))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                found.add(socket.inet_ntop(family, words).removeprefix("::ffff:"))
    return found


def test_an_actor_and_the_driver_are_killed_and_the_files_are_those_of_one_process(
    network, four_scenes, whole, tmp_path
):
    out = tmp_path / "out"
    with running(network, four_scenes, out, *RAY) as process:
        wait(lambda: labelled(out) >= 1)
        assert listening(process.pid) == {"127.0.0.1"}
        started = descendants(process.pid)
        actors = [pid for pid, words in started.items() if words.startswith("ray::MapWorker")]
        assert len(actors) == 2
        os.kill(actors[0], signal.SIGKILL)
        done = labelled(out)
        wait(lambda: labelled(out) >= min(11, done + 3))
        process.kill()
        process.wait()
        # Ray goes with its driver, of which its agents take note after a minute
        wait(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in started if "Agent" not in started[pid]), 60)
    kept = labelled(out)
    assert 1 <= kept <= 12
    printed = batch(network, four_scenes, out, *RAY)
    assert "12 of 12 frames labelled" in printed
    assert files(out) == files(whole)


@pytest.fixture(scope="module")
def here():
    with cluster() as cores:
        yield cores


def units(network, dataset, size):
    artifact, source = Artifact.open(network), LocalSource(NuScenes(dataset))
    marks = marks_of(source, artifact)
    return list(units_of(source, artifact, list(marks), marks, size=size))


def test_a_worker_that_is_killed_costs_nothing_but_time(here, network, four_scenes):
    import ray

    setup, work = Setup(network, "npz", {"precision": "fp32"}), units(network, four_scenes, 3)
    expected = {result.name: result for result in run_here(Worker(setup), work)}
    found = {}
    for result in run_on_ray(setup, Pool(2, 1, 1, 2), work):
        assert found.setdefault(result.name, result.sha256) == result.sha256
        if len(found) == 2:
            raylet = ray._private.worker._global_node.all_processes["raylet"][0].process.pid
            actors = [pid for pid, words in descendants(raylet).items() if words.startswith("ray::MapWorker")]
            os.kill(actors[0], signal.SIGKILL)
    assert found == {name: result.sha256 for name, result in expected.items()}


class Tired:
    """A worker that is slow and dies in its unit the first time, and is fast the second time."""

    def __init__(self, mark):
        self._mark, self._first = mark, not mark.exists()

    def label(self, unit, *_):
        for number, name in enumerate(unit.names):
            if self._first and number == 17:
                self._mark.touch()
                time.sleep(2)  # what was sent has arrived
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.15 * self._first)
            yield Result(name, "", sha256=str(number))


@pytest.mark.usefixtures("here")
def test_how_fast_a_worker_is_when_it_does_a_unit_again_loses_no_frame(tmp_path):
    mark, frame = tmp_path / "died", Frame({}, None)
    unit = Unit((tuple(Task(f"scene/{number}", frame, "") for number in range(40)),))

    class Other(Actor):  # a class of a function travels to the actor as it is
        def __init__(self, setup, watch, files=None):
            super().__init__(setup, watch, files)
            self._worker = Tired(mark)

    found = list(run_on_ray(Setup(tmp_path, "npz"), Pool(1, 1, 1, 2), [unit], actor=Other))
    assert mark.exists()
    assert [(result.name, result.sha256) for result in found] == [(f"scene/{i}", str(i)) for i in range(40)]


class Killer:
    """An image that ends whoever looks at it; a file object, as far as the pipeline is concerned."""

    def read(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

    seek = tell = read


def test_a_frame_that_kills_its_worker_is_given_up_and_the_others_are_not(here, network, four_scenes):
    (unit,) = units(network, four_scenes, None)
    row = list(unit.rows[0][:4])
    images = {**row[1].frame.images, "CAM_FRONT": Killer()}
    row[1] = replace(row[1], frame=replace(row[1].frame, images=images))
    found = {
        result.name: result.error for result in run_on_ray(Setup(network, "npz"), Pool(1, 1, 1, 2), [Unit((row,))])
    }
    assert [found[task.name] is None for task in row] == [True, False, True, True]
    assert "the worker died of it, more than once" in found[row[1].name]


@pytest.mark.parametrize("form", ["exact", "batch"])
def test_scenes_of_a_temporal_model_stay_whole(four_scenes, tmp_path, form):
    """What an actor is given. (Actors are processes of their own, which do not know the small variants of tests.)"""
    with known(*WIDE):
        artifact = convert("wide-small-4d", None, tmp_path / "a", precision="fp32", temporal=form)
        work = units(artifact.path, four_scenes, 2)
    scenes = [{task.name.split("/")[0] for row in unit.rows for task in row} for unit in work]
    assert len(work) == (4 if form == "exact" else 6)
    if form == "exact":
        assert scenes == [{f"scene-{number:04d}"} for number in range(1, 5)]


def test_an_actor_that_cannot_open_the_network_says_why(here, network, four_scenes, tmp_path):
    work = units(network, four_scenes, 3)
    copy = shutil.copytree(network, tmp_path / "copy")
    (copy / "model.bin").write_bytes(b"")
    with pytest.raises(OccvinoError, match=r"model\.bin is not the file that was converted"):
        list(run_on_ray(Setup(copy, "npz"), Pool(1, 1, 1, 2), work))
    with pytest.raises(DeviceError, match="a worker computes in CPU, fp32, the one that began in CPU, f64"):
        list(run_on_ray(Setup(network, "npz", {"precision": "fp32"}, "CPU, f64"), Pool(1, 1, 1, 2), work))


@contextlib.contextmanager
def started(port, environment):
    """A cluster of one machine that others than the batch began; gone at the end, and no other one with it."""
    words = f"start --head --block --port={port} --num-cpus=2 --include-dashboard=false --disable-usage-stats"
    command = [sys.executable, "-m", "ray.scripts.scripts", *words.split()]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True, **quiet)
    try:
        wait(lambda: any("raylet/raylet" in words for words in descendants(process.pid).values()), 60)
        yield
    finally:
        for pid in {**descendants(process.pid), process.pid: ""}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def test_an_artifact_is_sent_along_to_a_cluster(network, four_scenes, whole, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "RAY_USAGE_STATS_ENABLED": "0"}
    with started(port, token):
        printed = batch(network, four_scenes, tmp_path / "out", *RAY, "--address", f"127.0.0.1:{port}", **token)
    assert "2 actors of 1 threads on this machine with 2 cores" in printed
    assert files(tmp_path / "out") == files(whole)


def test_an_address_where_no_cluster_is_says_so_at_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", f"localhost:{port}"):
        with (
            pytest.raises(OccvinoError, match=f"no Ray cluster at {address}: .*{port} does not answer"),
            cluster(address),
        ):
            pass


def test_actors_fit_the_machines():
    assert pool_of([2]) == Pool(1, 2, 1, 2)
    assert pool_of([2], actors=2) == Pool(2, 1, 1, 2)
    assert pool_of([16, 32]) == Pool(12, 4, 2, 48)
    assert pool_of([16, 32], threads=8, actors=2) == Pool(4, 8, 2, 48)
    assert pool_of([16, 2], threads=8) == Pool(2, 8, 2, 18)
    with pytest.raises(OccvinoError, match="2 actors of 4 threads do not fit on 4 cores"):
        pool_of([4], actors=2, threads=4)
    with pytest.raises(OccvinoError, match="--threads 0: expected 1 or more"):
        pool_of([4], threads=0)
    assert [unit_size(frames, Pool(2, 1, 1, 2)) for frames in (3, 80, 28130)] == [1, 10, 32]


def test_a_frame_is_given_up_after_two_deaths_and_no_other_is():
    watch = Watch()
    assert watch.begin(0) is None
    assert watch.begin(0) == ()  # died of something
    watch.at(0, "good")
    watch.at(0, "bad")
    assert watch.begin(0) == ()
    watch.at(0, "good")
    watch.at(0, "bad")
    assert watch.begin(0) == ("bad",)
    watch.at(0, "good")
    watch.end(0)
    assert watch.begin(1) is None


def test_options_of_ray_go_with_ray(network, four_scenes, tmp_path):
    assert "--actors goes with --engine ray" in batch(network, four_scenes, tmp_path / "o", "--actors", 2, code=2)
    assert "there is no engine 'spark'" in batch(network, four_scenes, tmp_path / "o", "--engine", "spark", code=2)
    assert not read_any(tmp_path / "o")


def read_any(out):
    return read_manifest(out) if out.exists() else None
