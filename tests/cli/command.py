"""The command line, in a process of its own."""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

# Each command is a process forked from one that has imported what commands need and has done nothing else: without
# that, these tests would spend most of their time on imports. What is imported when: tests/test_imports.py.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_processes = multiprocessing.get_context(_METHOD)
_processes.set_forkserver_preload(["occvino.cli.app", "occvino.conversion"])
_LIMIT = 600  # seconds


def occvino(*arguments, check=None, **environment):
    """Run the command; `check` is the exit code that is expected, `environment` what is to be other than here."""
    words, environment = list(map(str, arguments)), {**os.environ, **environment}
    with tempfile.TemporaryDirectory() as folder:
        process = _processes.Process(target=_run, args=(folder, words, environment))
        process.start()
        process.join(_LIMIT)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"occvino {' '.join(words)} did not end within {_LIMIT} s")
        told = [Path(folder, name).read_text() for name in ("stdout", "stderr")]
    done = CompletedProcess(words, process.exitcode, *told)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done


def _run(folder, words, environment):
    for number, name in ((1, "stdout"), (2, "stderr")):
        with Path(folder, name).open("w") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["occvino", *words]
    from occvino.cli import app, console

    for end in (console.out, console.err):  # which read this when they were made
        end.width = int(environment.get("COLUMNS", "80"))
    app.main()
