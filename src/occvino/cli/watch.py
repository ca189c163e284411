"""`occvino run --view`: results in Rerun as they come."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from occvino.errors import OccvinoError
from occvino.labelling.resume import Watch


@contextmanager
def watching(where: str | None) -> Generator[Watch | None]:
    """What `label` shows its results to; None where nobody looks. Frames that come too fast are left out, and counted.

    Args:
        where: "window", a file that ends in .rrd, or the address of a viewer that runs (rerun+http://...).

    Raises:
        OccvinoError: none of these, or it cannot be opened.
    """
    if where is None:
        yield None
        return
    from occvino.viz.rerun import Logger, NewViewer, Sink, ToFile, ToViewer

    sink: Sink
    if where == "window":
        sink = NewViewer()
    elif where.endswith(".rrd"):
        sink = ToFile(Path(where))
    elif "://" in where:
        sink = ToViewer(where)
    else:
        raise OccvinoError(f"--view {where}: expected window, FILE.rrd, or the address of a viewer as rerun+http://...")
    with Logger(sink) as logger:
        yield logger.log
