"""Where a recording goes: a file, the browser, a viewer that runs, or one that is started.

Rerun's own `serve_web_viewer` and `spawn` listen on every network interface (0.0.0.0) and cannot be told otherwise:
whoever is on the network could see the images. Rerun's program can, by `--bind`, and is what is started here.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote, urlsplit

from occvino.files import atomic_file
from occvino.viz.rerun.sdk import ViewerError

HOST = "127.0.0.1"
GRPC_PORT, WEB_PORT = 9876, 9090
"""Rerun's own."""
_STARTS_IN, _SENT_IN = 30.0, 60.0
"""Seconds that a viewer is given to listen, and to take what is left at the end."""

_WATCHER = """
import os, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: (os.read(0, 1), child.terminate()), daemon=True).start()
sys.exit(child.wait())
"""
"""Starts a program, and ends it when the pipe from this process is closed, however this process ends."""


class Sink(Protocol):
    """Takes a recording: gets what is logged to it inside of the `with`; at the end all of it has arrived."""

    def attached(self, recording: Any) -> AbstractContextManager[None]:
        """Lead a `rerun.RecordingStream` here."""
        ...


@dataclass(frozen=True)
class ToFile:
    """A file NAME.rrd, which appears when it is complete. `rerun NAME.rrd` shows it.

    Raises:
        ViewerError: another suffix, by which no viewer would know it.
    """

    path: Path

    def __post_init__(self) -> None:
        if self.path.suffix != ".rrd":
            raise ViewerError(f"the recording {self.path} ends in {self.path.suffix!r}, expected '.rrd': rename it")

    @contextmanager
    def attached(self, recording: Any) -> Generator[None]:
        """Raises `OutputError` where the file cannot be written."""
        with atomic_file(self.path) as temporary:
            recording.save(temporary)
            try:
                yield
                recording.flush(timeout_sec=_SENT_IN)
            finally:
                recording.disconnect()


@dataclass(frozen=True)
class ToViewer:
    """A viewer that runs, such as one started by `rerun --bind 127.0.0.1`.

    Args:
        url: of its gRPC server, as `rerun+http://127.0.0.1:9876/proxy`.
    """

    url: str = f"rerun+http://{HOST}:{GRPC_PORT}/proxy"

    @contextmanager
    def attached(self, recording: Any) -> Generator[None]:
        """Raises `ViewerError` where the URL is none or nobody listens there."""
        host, port = self._address()
        if not _listens(host, port):
            raise ViewerError(f"no viewer listens at {self.url}: start one with: rerun --bind {HOST} --port {port}")
        recording.connect_grpc(self.url)
        try:
            yield
            _send_rest(recording, self.url)
        finally:
            recording.disconnect()

    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if parts.scheme not in ("rerun", "rerun+http", "rerun+https") or not host or not port or parts.path != "/proxy":
            raise ViewerError(
                f"the viewer's URL is {self.url!r}, expected one like rerun+http://{HOST}:{GRPC_PORT}/proxy"
            )
        return host, port


@dataclass(frozen=True)
class NewViewer:
    """Rerun's window, started here; it stays open afterwards. It listens on this machine only.

    Args:
        port: of its gRPC server; 0 for any that is free.
    """

    port: int = GRPC_PORT

    @contextmanager
    def attached(self, recording: Any) -> Generator[None]:
        """Raises `ViewerError` where it cannot be started, such as without a screen."""
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ViewerError(
                "there is no screen for Rerun's window (DISPLAY and WAYLAND_DISPLAY are not set): save a file, or use "
                "the browser"
            )
        port = _free_port(self.port, "port")
        _start(["--port", str(port), "--expect-data-soon"], [port], stays=True)
        with ToViewer(f"rerun+http://{HOST}:{port}/proxy").attached(recording):
            yield


@dataclass(frozen=True)
class ToBrowser:
    """Rerun in the browser: a web server and a gRPC server, both on this machine only (127.0.0.1).

    Args:
        port: of the gRPC server; 0 for any that is free.
        web_port: of the web server; 0 alike.
        open_browser: whether to open the page.
        told: is given the page's address once it can be opened.
        hold: whether to go on serving at the end, until Ctrl-C or the server ends.
    """

    port: int = GRPC_PORT
    web_port: int = WEB_PORT
    open_browser: bool = True
    told: Callable[[str], None] = print
    hold: bool = True

    @contextmanager
    def attached(self, recording: Any) -> Generator[None]:
        """Raises `ViewerError` where a port is taken or the servers cannot be started."""
        port, web_port = _free_port(self.port, "port"), _free_port(self.web_port, "web port")
        server = _start(
            ["--serve-web", "--port", str(port), "--web-viewer-port", str(web_port)], [port, web_port], stays=False
        )
        url = f"rerun+http://{HOST}:{port}/proxy"
        page = f"http://{HOST}:{web_port}/?url={quote(url, safe='')}"
        try:
            with ToViewer(url).attached(recording):
                self.told(page)
                if self.open_browser:
                    webbrowser.open(page)
                yield
            if self.hold:
                with contextlib.suppress(KeyboardInterrupt):
                    server.wait()
        finally:
            assert server.stdin
            server.stdin.close()
            server.wait()


def _send_rest(recording: Any, url: str) -> None:
    try:
        recording.flush(timeout_sec=_SENT_IN)
    except Exception as error:  # the library has an error of its own, and no promise of which
        raise ViewerError(f"the viewer at {url} did not take all of the recording: {error}") from error


def _start(options: list[str], ports: list[int], *, stays: bool) -> "subprocess.Popen[bytes]":
    """Start Rerun's program on this machine's own address, and wait until it listens on all ports."""
    command = [str(_program()), "--bind", HOST, *options]
    environment = {**os.environ, "CI": "1"}  # the only variable by which Rerun sends no usage data
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command if stays else [sys.executable, "-c", _WATCHER, *command],
            env=environment,
            stdin=subprocess.DEVNULL if stays else subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for this process, which ends it then
        )
        try:
            _wait_for(process, ports, said)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process


def _wait_for(process: "subprocess.Popen[bytes]", ports: list[int], said: IO[bytes]) -> None:
    end = time.monotonic() + _STARTS_IN
    while not all(_listens(HOST, port) for port in ports):
        if process.poll() is not None or time.monotonic() > end:
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            why = f"it ended with {process.returncode}" if process.returncode is not None else "it does not listen"
            raise ViewerError(f"Rerun's viewer did not start: {why}: {lines[-1]}: save a file instead, or mend that")
        time.sleep(0.05)


def _program() -> Path:
    """Rerun's program, which rerun-sdk brings. Its wrapper in Python is passed by: ending that would not end it."""
    found = find_spec("rerun_cli")
    folder = Path(found.origin).parent if found and found.origin else Path()
    names = ["rerun.exe"] if sys.platform == "win32" else ["Rerun.app/Contents/MacOS/Rerun", "rerun"]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ViewerError(f"Rerun's program is not in {folder}: reinstall it, or save a file: pip install rerun-sdk")


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _free_port(port: int, name: str) -> int:
    """The port, or any free one for 0."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would allow a port that is taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ViewerError(
                f"{name} {port} of {HOST} cannot be used ({error}): choose another one, 0 for any"
            ) from error
        return probe.getsockname()[1]
