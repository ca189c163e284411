"""Units of a batch on Ray: actors that open the network once, on this machine or on a cluster that is there.

Ray Data feeds a pool of actors, starts a new one where one died, and gives its unit to another. What a frame's labels
are does not depend on who made them, and only the process that began the run writes files: a worker that is killed
leaves nothing half written.
"""

import contextlib
import itertools
import logging
import os
import pickle
import socket
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occvino.errors import OccvinoError
from occvino.scale.extra import needed
from occvino.scale.watch import Watch
from occvino.scale.work import Result, Setup, Unit

SIZE = 32
"""Frames of a unit, where it is no scene: what is done again if an actor dies."""
FRAMES = 8
"""Results of a message: each message costs the driver some 10 ms (docs/batch.md).

It must not depend on time. Where an actor dies, Ray runs its unit again and leaves out as many messages as it has had:
they have to hold the same frames as before, or frames are lost.
"""
CONNECT = 10.0
"""Seconds in which a cluster's address must answer."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""No reports to anybody; Ray's C++ parts tell of every retry as of an error."""
_LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""As Ray has it on Windows and macOS: its servers bind to 127.0.0.1 and not to every address of the machine."""


@dataclass(frozen=True)
class Pool:
    """How the actors are laid out.

    Attributes:
        actors: how many in all.
        threads: CPU threads, and cores, of each.
        nodes: how many machines there are.
        cores: of all machines together.
    """

    actors: int
    threads: int
    nodes: int
    cores: int

    def __str__(self) -> str:
        machines = "this machine" if self.nodes == 1 else f"{self.nodes} machines"
        return f"{self.actors} actors of {self.threads} threads on {machines} with {self.cores} cores"


def pool_of(cores: Sequence[int], *, actors: int | None = None, threads: int | None = None) -> Pool:
    """Actors for machines of so many cores.

    Args:
        cores: of each machine.
        actors: on each machine; as many as have room when left out.
        threads: of each actor; what is left out follows from the other, and where both are, an actor has 4 cores, or
            all that a machine has if these are fewer.

    Raises:
        OccvinoError: a number is below 1, or a machine has too few cores for one actor.
    """
    for name, number in {"--actors": actors, "--threads": threads}.items():
        if number is not None and number < 1:
            raise OccvinoError(f"{name} {number}: expected 1 or more")
    most = max(cores)
    if threads is None:
        threads = max(1, min(cores) // actors) if actors else min(4, min(cores))
    if threads > most or (actors or 1) * threads > most:
        raise OccvinoError(
            f"{actors or 1} actors of {threads} threads do not fit on {most} cores: lower --actors or --threads"
        )
    found = sum(min(actors or have, have // threads) for have in cores)
    return Pool(found, threads, len(cores), sum(cores))


@contextlib.contextmanager
def cluster(address: str | None = None) -> Generator[list[int]]:
    """Ray on this machine, or a connection to the cluster at an address, until the end of the block.

    Gives the cores of each machine. Ray that is started here listens on 127.0.0.1 alone, has no dashboard and reports
    to nobody.

    Raises:
        OccvinoError: Ray is not installed, or there is no cluster at that address.
    """
    os.environ.update(_QUIET if address else {**_QUIET, **_LOCAL})
    ray = needed("ray", "--engine ray")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
        else:
            _answers(address)
            ray.init(address=address, **quiet)
    except OccvinoError:
        raise
    except Exception as error:
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        token = "; a cluster that asks for a token needs RAY_AUTH_MODE=token, and its ~/.ray/auth_token here"
        words = str(error).strip().splitlines()[0]
        raise OccvinoError(f"cannot reach or start {where}: {words}{token if address else ''}") from error
    stdout = contextlib.redirect_stdout(sys.stderr)  # Ray prints there of workers that died; results go there, too
    try:
        stdout.__enter__()
        alive = [node for node in ray.nodes() if node["Alive"]]
        yield [int(node["Resources"].get("CPU", 0)) for node in alive if node["Resources"].get("CPU", 0) >= 1]
    finally:
        stdout.__exit__(None, None, None)
        ray.shutdown()


def _answers(address: str) -> None:
    """Ray itself tries for minutes, and says little then."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto", or a name that Ray knows
    if host in ("localhost", "127.0.0.1") and "://" not in address:
        host = str(needed("ray.util", "--engine ray").get_node_ip_address())  # what Ray makes of it
    try:
        socket.create_connection((host, int(port)), CONNECT).close()
    except OSError as error:
        raise OccvinoError(
            f"no Ray cluster at {address}: {host}:{port} does not answer ({error}); expected the address that "
            f"`ray start --head` printed"
        ) from error


def run_on_ray(
    setup: Setup, pool: Pool, units: Sequence[Unit], *, ship: bool = False, actor: type | None = None
) -> Generator[Result]:
    """Results of the units, each soon after it is there.

    A frame that its worker died of, again and again, is a result with an error (see `scale.watch`).

    Args:
        setup: how an actor opens the network.
        pool: how many actors, of how many threads.
        units: what is to be done.
        ship: send the artifact's files along, for machines that do not see its folder.
        actor: another class of the same kind as `Actor`, to measure what Ray costs by itself.

    Raises:
        OccvinoError: an actor cannot open the network; Ray ended; or it gave no result for a frame.
    """
    if not units:
        return
    ray, data = needed("ray", "--engine ray"), needed("ray.data", "--engine ray")
    _calm(data)
    setup = replace(setup, options={**setup.options, "threads": pool.threads})
    files = ray.put(_files_of(setup.artifact)) if ship else None
    watch = ray.remote(Watch).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    items = [{"number": number, "unit": pickle.dumps(unit)} for number, unit in enumerate(units)]
    results = data.from_items(items, override_num_blocks=len(items)).map_batches(
        actor or Actor,
        batch_size=1,
        fn_constructor_args=(setup, watch, files),
        compute=data.ActorPoolStrategy(size=min(pool.actors, len(units)), max_tasks_in_flight_per_actor=2),
        num_cpus=pool.threads,
    )
    left = {name for unit in units for name in unit.names}
    for result in _taken(results):
        left.discard(result.name)
        yield result
    if left:
        raise OccvinoError(f"Ray lost {len(left)} frames, among them {min(left)}: run the same command again")


def unit_size(frames: int, pool: Pool) -> int:
    """Frames of a unit, such that each actor has several."""
    return max(1, min(SIZE, frames // (4 * pool.actors)))


def _taken(results: Any) -> Iterator[Result]:
    try:
        for batch in results.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
            for value in batch.column("result").to_pylist():
                found = pickle.loads(value)
                if isinstance(found, OccvinoError):
                    raise found
                yield from found
    except OccvinoError:
        raise
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise OccvinoError(f"Ray ended before the batch did: {words[-1]}") from error


def _calm(data: Any) -> None:
    """Settings of Ray Data: results one by one, and no bars and logs of its own."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # what an actor gives goes out at once, and is on disk soon
    context.target_min_block_size = 1
    context.execution_no_progress_timeout_s = -1
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _files_of(artifact: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in artifact.iterdir() if path.is_file() and path.suffix != ".onnx"}


class Actor:
    """A worker in a process of Ray's. What it cannot do it tells as a result: a stack trace of Ray's helps nobody."""

    def __init__(self, setup: Setup, watch: Any, files: Any = None) -> None:
        self._watch = watch
        self._doubts: list[str] = []
        warnings.showwarning = lambda message, *_, **__: self._doubts.append(str(message))  # type: ignore[assignment]
        self._scratch = contextlib.ExitStack()
        self._worker, self._error = None, None
        try:
            from occvino.files import scratch_folder
            from occvino.scale.worker import Worker

            if files is not None:
                folder = self._scratch.enter_context(scratch_folder())
                for name, content in needed("ray", "").get(files).items():
                    (folder / name).write_bytes(content)
                setup = replace(setup, artifact=folder)
            self._worker = Worker(setup)
        except OccvinoError as error:
            self._error = error

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Results of one unit, some at a time."""
        if self._worker is None:
            yield {"result": [pickle.dumps(self._error)]}
            return
        get, number = needed("ray", "").get, int(batch["number"][0])
        unit: Unit = pickle.loads(batch["unit"][0])
        suspects = get(self._watch.begin.remote(number))
        look = None if suspects is None else lambda name: get(self._watch.at.remote(number, name))
        results = self._results(unit, suspects or (), look)
        while message := list(itertools.islice(results, FRAMES)):
            yield {"result": [pickle.dumps(message)]}
        get(self._watch.end.remote(number))

    def _results(self, unit: Unit, given_up: Sequence[str], look: Callable[[str], Any] | None) -> Iterator[Result]:
        assert self._worker is not None
        left = list(unit.names)
        try:
            for result in self._worker.label(unit, given_up, look):
                left.remove(result.name)
                doubts, self._doubts[:] = tuple(dict.fromkeys(self._doubts)), []
                yield replace(result, warnings=doubts)
        except Exception as error:  # none of a frame: what a frame raises is a result
            for name in left:
                yield Result(name, "", error=f"{type(error).__name__}: {error}")
