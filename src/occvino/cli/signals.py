"""How a command ends when it is not let to end by itself: signals, a reader that has gone, a narrow terminal.

Exit codes are those of shells: 128 and the number of the signal, so 130 after Ctrl-C, 143 after SIGTERM, 141 where
nobody reads what is printed any more.

A signal raises nothing: an exception in the middle of an import or of a callback crashes the C++ libraries around it,
or is swallowed by them. Instead a thread of its own, which runs while the main one is inside OpenVINO, removes what is
half written and ends the process.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any, NoReturn

from occvino.files import remove_temporaries

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated: the terminal is gone"}
"""By the name of the signal; Windows has no SIGHUP."""
_ENDING = {int(getattr(signal, name)): words for name, words in _WORDS.items() if hasattr(signal, name)}
_PIPE = int(getattr(signal, "SIGPIPE", 13))

_ending = threading.Event()
_broken_pipe = threading.Event()


def wait_if_ending() -> None:
    """Say nothing more where a signal is about to end the process: what fails now fails because of that."""
    if _ending.is_set():
        threading.Event().wait()


def guarded(command: Callable[[], None]) -> NoReturn:
    """Run a command and leave the process with its exit code, or with that of the signal that ended it."""
    _prepare_streams()
    code: Any = 0
    with _listening():
        try:
            try:
                command()
            except SystemExit as ended:
                code = ended.code
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except BrokenPipeError:
            _broken_pipe.set()
            code = 1
        except BaseException:
            wait_if_ending()
            raise
        if code and _broken_pipe.is_set():  # rich and typer make an exit code of 1 of it
            _silence()
            code = 128 + _PIPE
    raise SystemExit(code)


def _prepare_streams() -> None:
    """Let nothing that is printed fail for want of a letter or of a stream, nor get lost in a buffer."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


def _silence() -> None:
    """Send what is still to be printed nowhere; Python would complain of it at the very end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(nowhere, stream.fileno())


@contextlib.contextmanager
def _listening() -> Generator[None]:
    """Let signals end the process until the end of the block. Those that were ignored, as nohup has it, stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hears, told = socket.socketpair()
    told.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(hears,), name="occvino-signals", daemon=True)
    watcher.start()
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    handled = [number for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN]
    for number in handled:
        signal.signal(number, _on_signal)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(_PIPE, _on_pipe)
    if hasattr(os, "register_at_fork"):  # libraries fork: the copy of this process is not to act for it
        os.register_at_fork(after_in_child=_be_another)
    try:
        yield
    finally:
        wait_if_ending()
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        told.close()  # ends the thread
        watcher.join()


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Nothing: that there is a handler lets Python tell the other thread."""


def _on_pipe(number: int, frame: FrameType | None) -> None:
    _broken_pipe.set()


def _be_another() -> None:
    signal.set_wakeup_fd(-1)
    for number in (*_ENDING, _PIPE):
        if signal.getsignal(number) in (_on_signal, _on_pipe):
            signal.signal(number, signal.SIG_DFL)


def _watch(hears: socket.socket) -> None:
    """Wait for a signal and end the process, or for the end of what was listened for."""
    with hears:
        while numbers := hears.recv(1):
            if numbers[0] in _ENDING:
                _ending.set()
                remove_temporaries()
                _say(_ENDING[numbers[0]])
                os._exit(128 + numbers[0])


def _say(words: str) -> None:
    """One line on stderr, past Python's buffers, which the main thread may hold."""
    with contextlib.suppress(OSError):
        # of a terminal, a spinner may have hidden the cursor and taken the line
        before = "\r\x1b[2K\x1b[?25h" if os.isatty(2) else ""
        os.write(2, f"{before}{words}\n".encode())
