"""Libraries that tell more than the reader asked for."""

import logging
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def quiet(name: str) -> Generator[None]:
    """Keep what a library logs below the level of an error to itself; `name` is that of its logger."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
