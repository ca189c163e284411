"""Names that were others before: the old ones still work for one release, and warn."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from occvino.errors import warn

P = ParamSpec("P")
T = TypeVar("T")


def renamed_keywords(**new_of_old: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A function that takes its old keywords too: `@renamed_keywords(frames="images")`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> T:
            for old, new in new_of_old.items():
                if old in kwargs:
                    warn(f"the keyword {old}= of {function.__qualname__} is called {new}= now", DeprecationWarning)
                    if new in kwargs:
                        raise TypeError(f"{function.__qualname__} got {old}= and {new}=, which are one: give {new}=")
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
