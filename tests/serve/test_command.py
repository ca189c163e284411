"""`occvino serve` before it serves."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.errors import OccvinoError
from occvino.serve.address import Address


@pytest.mark.parametrize("missing", ["fastapi", "kserve"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith("occvino.serve.v2")]:
        monkeypatch.delitem(sys.modules, name)
    if missing == "kserve":
        pytest.importorskip("fastapi", reason="what is missing first is told, and that is fastapi here")
    monkeypatch.setitem(sys.modules, missing, None)
    words = list(sys.argv)
    done = CliRunner().invoke(app, ["serve", "nowhere"])
    assert isinstance(done.exception, OccvinoError)
    assert f"{missing} is not installed, and serving needs it: pip install 'occvino[serve]'" in str(done.exception)
    assert sys.argv == words


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--port", "70000"), "--port 70000: expected 0, for any that is free, to 65535"),
        (("--name", "a/b"), "the model name 'a/b': expected letters"),
    ],
)
def test_options_that_are_none(artifact, options, message):
    # in a process of its own: where kserve is imported, the client's gRPC cannot be, nor the other way round
    command = [sys.executable, "-c", "from occvino.cli import main; main()", "serve", str(artifact.path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert message in done.stderr


def test_other_machines_are_told_from_this_one():
    told = {host: Address(host).local for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")}
    assert set(told.values()) == {True}
    told = {host: Address(host).local for host in ("0.0.0.0", "::", "192.168.0.1", "a-host")}
    assert set(told.values()) == {False}
    assert (Address("::1").told, Address("127.0.0.1").told) == ("[::1]", "127.0.0.1")
