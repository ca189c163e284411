"""HTTP and gRPC from start to end: ports, signals, and requests under way when it is told to stop."""

import asyncio
import contextlib
import logging
import re
import signal
import socket
import sys
from collections.abc import Callable, Generator
from typing import Any

import uvicorn
from grpc import aio

from occvino.errors import OccvinoError, warn
from occvino.runtime.pipeline import Pipeline
from occvino.serve.address import Address
from occvino.serve.failures import LOGGER
from occvino.serve.v2.http import Limits, application
from occvino.serve.v2.model import OccupancyModel
from occvino.serve.v2.plane import Plane
from occvino.serve.v2.rpc import rpc_server

_GRACE = 30.0
"""Seconds that requests under way have to end when the server is told to stop."""


def serve(
    pipeline: Pipeline,
    name: str,
    address: Address,
    limits: Limits,
    threads: int,
    ready: Callable[[Address], Any],
) -> None:
    """Serve a pipeline until SIGTERM or Ctrl-C; requests under way then are answered first.

    Args:
        pipeline: of an artifact that takes one frame.
        name: that clients call the model by.
        address: where to listen.
        limits: what is taken.
        threads: requests that are worked on at a time.
        ready: called with the ports, once it listens.

    Raises:
        OccvinoError: the artifact takes several frames, a port cannot be had, or a name that no path can hold.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise OccvinoError(f"the model name {name!r}: expected letters, digits, dots, dashes and underscores")
    if not address.local:
        warn(
            f"{address.host} can be reached from other machines, and whoever reaches it may send frames: there is "
            "neither TLS nor a login here. Put a proxy that has them in front (docs/serving.md)"
        )
    model = OccupancyModel(name, pipeline, 4 * limits.body, threads)
    model.ready = True
    if not LOGGER.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOGGER.addHandler(handler)
    try:
        asyncio.run(_serve(Plane(model), address, limits, ready))
    finally:
        model.close()


async def _serve(plane: Plane, address: Address, limits: Limits, ready: Callable[[Address], Any]) -> None:
    config = uvicorn.Config(
        application(plane, limits),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(_GRACE),
    )
    http, rpc = _Http(config), rpc_server(plane, limits)
    with _listening(address) as listener:
        port = _rpc_port(rpc, address)
        await rpc.start()
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
        serving = asyncio.create_task(http.serve(sockets=[listener]))
        waiting = asyncio.create_task(told.wait())
        while not (http.started or serving.done()):
            await asyncio.sleep(0.01)
        ready(Address(address.host, listener.getsockname()[1], port))
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        http.should_exit = True
        await asyncio.gather(serving, rpc.stop(_GRACE))
        waiting.cancel()


class _Http(uvicorn.Server):
    """Signals are heard by `_serve`, for both sides."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.contextmanager
def _listening(address: Address) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.http), family=family, backlog=128)
    except OSError as error:
        raise OccvinoError(f"cannot listen on {address.told}:{address.http}: {error}: choose another --port") from error
    with listener:
        yield listener


def _rpc_port(rpc: aio.Server, address: Address) -> int:
    try:
        port = rpc.add_insecure_port(f"{address.told}:{address.grpc}")
    except RuntimeError as error:
        raise _taken(address) from error
    if not port:
        raise _taken(address)
    return port


def _taken(address: Address) -> OccvinoError:
    return OccvinoError(
        f"cannot listen on {address.told}:{address.grpc} for gRPC: is it in use? Choose another --grpc-port"
    )
