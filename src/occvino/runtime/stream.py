"""Frames overlapped: the host reads images and makes plans of later frames while the device runs earlier ones."""

import contextlib
import os
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from typing import Protocol, TypeAlias

from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig
from occvino.images.find import Images
from occvino.runtime.frame import Frame, Inferred, Prepared
from occvino.runtime.occupancy import Occupancy

Item: TypeAlias = Frame | tuple[Images, Rig | None] | Exception
UnderWay: TypeAlias = "Future[Future[Occupancy]]"
"""Of the device; it gives what the host then finishes."""

MOST_WORKERS = 8
_GOES_ON = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
"""Code whose stack frame may only be suspended: clearing it would end it, as a source that yields what it caught."""


@dataclass(frozen=True, eq=False)
class Failure:
    """Stands in a stream where the result of a frame would. False in a condition, which results are not.

    Attributes:
        index: of the frame in the stream, from 0.
        error: what went wrong, as a call with that frame would have raised it.
    """

    index: int
    error: Exception

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"frame {self.index}: {type(self.error).__name__}: {self.error}"


class Steps(Protocol):
    """What a stream needs of a `Pipeline`."""

    parallel: int

    def prepare(self, frame: Frame, pool: Executor | None = None) -> Prepared:
        """On the host; any order, several at a time. Idle threads of `pool` may be given parts of it."""
        ...

    def infer(self, prepared: Prepared) -> Inferred:
        """On the device; up to `parallel` at a time, and in order if that is 1."""
        ...

    def finish(self, prepared: Prepared, inferred: Inferred) -> Occupancy:
        """On the host; any order, several at a time."""
        ...

    def reset(self) -> None:
        """Forget the past frames."""
        ...


def usual_workers() -> int:
    """Host threads where nobody said how many: one a core, at most `MOST_WORKERS`."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


def stream(
    steps: Steps, frames: Iterable[Item], *, window: int | None = None, workers: int | None = None
) -> Generator[Occupancy | Failure]:
    """Results of the frames, in their order: documented at `Pipeline.stream`.

    Raises:
        OccvinoError: window or workers below 1.
    """
    for name, number in {"window": window, "workers": workers}.items():
        if number is not None and number < 1:
            raise OccvinoError(f"{name}={number}: expected 1 or more")
    workers = workers or usual_workers()
    return _run(steps, iter(frames), window or 2 * steps.parallel + workers, workers)


def _run(steps: Steps, frames: Iterator[Item], window: int, workers: int) -> Generator[Occupancy | Failure]:
    host = ThreadPoolExecutor(workers, "occvino-host")
    device = ThreadPoolExecutor(steps.parallel, "occvino-device")
    under_way: deque[UnderWay] = deque()

    def infer(preparing: Future[Prepared]) -> Future[Occupancy]:
        prepared = preparing.result()
        return host.submit(steps.finish, prepared, steps.infer(prepared))

    def start(item: Item) -> UnderWay:
        return device.submit(infer, host.submit(lambda: steps.prepare(_frame(item), host)))

    try:
        yield from _in_order(frames, start, window, under_way)
    finally:
        for pool in (host, device):  # all that waits is dropped before anything is waited for
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (host, device):
            pool.shutdown()
        if not all(frame.cancelled() for frame in under_way):  # the memory is ahead of the results that were taken
            steps.reset()


def _in_order(
    frames: Iterator[Item], start: Callable[[Item], UnderWay], window: int, under_way: deque[UnderWay]
) -> Generator[Occupancy | Failure]:
    index, broken, more = 0, None, True
    while True:
        # a result that is there goes out first: a camera may take its time for the next frame
        while more and len(under_way) < window and not (under_way and _is_done(under_way[0])):
            try:
                under_way.append(start(next(frames)))
            except StopIteration:
                more = False
            except Exception as error:
                more, broken = False, error
        if not under_way:
            break
        yield _result(index, under_way.popleft())
        index += 1
    if broken is not None:
        raise broken


def _frame(item: Item) -> Frame:
    if isinstance(item, Frame):
        return item
    if isinstance(item, Exception):
        raise item
    if isinstance(item, tuple) and len(item) == 2:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may err
        return Frame(*item)
    raise OccvinoError(f"a stream takes Frame(images, rig, ...) or (images, rig), not {type(item).__name__}")


def _is_done(frame: UnderWay) -> bool:
    return frame.done() and (frame.exception() is not None or frame.result().done())


def _result(index: int, frame: UnderWay) -> Occupancy | Failure:
    error = frame.exception() or frame.result().exception()
    if error is None:
        return frame.result().result()
    if not isinstance(error, Exception):  # SystemExit and the like are not for us to keep
        raise error
    return Failure(index, _without_locals(error))


def _without_locals(error: Exception) -> Exception:
    """The same error. Its traceback still says where, but no longer holds images and plans in memory."""
    link: BaseException | None = error
    seen = set[int]()
    while link is not None and id(link) not in seen:  # an error may be its own cause
        seen.add(id(link))
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if not frame.f_code.co_flags & _GOES_ON:
                with contextlib.suppress(RuntimeError):  # it is still running
                    frame.clear()
        link = link.__cause__ or link.__context__
    return error
