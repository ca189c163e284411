"""The command line, in a process of its own."""

import subprocess
import sys


def occvino(*arguments, check=None):
    """Run the command; `check` is the exit code that is expected."""
    command = [sys.executable, "-c", "from occvino.cli.app import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done
