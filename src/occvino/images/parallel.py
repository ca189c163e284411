"""The cameras of a frame side by side, in idle threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item], pool: Executor | None) -> list[Result]:
    """`function` of each item, in this thread and in idle threads of `pool`.

    This thread begins at the end and takes what no other has begun, so that it may be one of the pool itself. Where it
    returns or raises, nothing is under way any more; of several errors that of the first item is raised.
    """
    if pool is None:
        return [function(item) for item in items]
    shared = [pool.submit(function, item) for item in items]
    done = [_here(function, item) if one.cancel() else one for item, one in zip(items[::-1], shared[::-1], strict=True)]
    wait(done)
    return [one.result() for one in done[::-1]]


def _here(function: Callable[[Item], Result], item: Item) -> "Future[Result]":
    future: Future[Result] = Future()
    try:
        future.set_result(function(item))
    except Exception as error:
        future.set_exception(error)
    return future
