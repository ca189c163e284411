"""The command `occvino serve`."""

import contextlib
import sys
from collections.abc import Generator
from typing import Annotated

import typer

from occvino.cli.console import say, steps
from occvino.cli.options import ArtifactPath, Cache, Exif, Hint, OptionalDevice, Precision, Streams, hint_of
from occvino.errors import OccvinoError
from occvino.runtime import Pipeline
from occvino.runtime.stream import usual_workers
from occvino.serve.address import Address


def serve(
    artifact: ArtifactPath,
    port: Annotated[int, typer.Option(help="For HTTP; 0 is any that is free.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="For gRPC; 0 is any that is free.")] = 8001,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    name: Annotated[str | None, typer.Option(help="What clients call the model; its variant when left out.")] = None,
    device: OptionalDevice = None,
    precision: Precision = "default",
    hint: Hint = None,
    streams: Streams = None,
    cache: Cache = None,
    exif: Exif = "warn",
    max_body: Annotated[int, typer.Option(min=1, max=2047, help="Largest request, MiB.")] = 64,
    max_requests: Annotated[int, typer.Option(min=1, help="Requests under way, over HTTP and gRPC each.")] = 32,
) -> None:
    """Serve labels over HTTP and gRPC (KServe v2).

    Until Ctrl-C or SIGTERM. A request has the images of all cameras, `intrinsics` and `camera2ego`; the answer has
    `labels` (docs/serving.md).

    Example: occvino serve m0 --port 8000
    """
    with steps() as progress:
        progress("loading")
        with _kserve():
            from occvino.serve.v2.http import Limits
            from occvino.serve.v2.server import serve
        address = Address(host, port, grpc_port)
        options = {"hint": hint, "streams": streams, "cache": cache}
        pipeline = Pipeline(artifact, device, precision=hint_of(precision), exif=exif, **options)  # type: ignore[arg-type]  # each has its own type
    called = name or pipeline.artifact.variant.name

    def ready(at: Address) -> None:
        say(f"{called}: {pipeline.running}")
        say(f"HTTP: http://{at.told}:{at.http}/v2/models/{called}\ngRPC: {at.told}:{at.grpc}")

    threads = max(pipeline.parallel + 1, usual_workers())
    serve(pipeline, called, address, Limits(max_body << 20, max_requests), threads, ready)


@contextlib.contextmanager
def _kserve() -> Generator[None]:
    """While it is imported, kserve takes the words of the command line for its own."""
    words, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("kserve", "fastapi", "uvicorn", "grpc", "grpc_interceptor", "orjson"):
            raise
        raise OccvinoError(
            f"{error.name} is not installed, and serving needs it: pip install 'occvino[serve]'"
        ) from error
    finally:
        sys.argv = words
