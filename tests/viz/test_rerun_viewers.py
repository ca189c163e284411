"""Rerun's viewers: on this machine only, and gone with their process."""

import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("rerun", reason='rerun-sdk is not installed: pip install "occvino[viz]"')
chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk has no rerun.chunk to read recordings with")

from occvino.viz import rerun as viz  # noqa: E402
from tests.viz.rerun_frames import tiny  # noqa: E402


def test_the_servers_listen_on_this_machine_only(tmp_path):
    """On the loopback address, and on no other: 127.0.0.2 would be answered by one that listens everywhere."""
    pages = []

    def frames():
        port, web_port = sink_ports(pages[0])
        for each in (port, web_port):
            socket.create_connection(("127.0.0.1", each), timeout=5).close()
            if sys.platform == "linux":
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.2", each), timeout=5).close()
        yield tiny()

    viz.record(frames(), viz.ToBrowser(0, 0, open_browser=False, told=pages.append, hold=False))
    for each in sink_ports(pages[0]):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", each), timeout=5)


def sink_ports(page):
    assert page.startswith("http://127.0.0.1:")
    return int(page.rpartition("%3A")[2].partition("%2F")[0]), int(page.split(":")[2].partition("/")[0])


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(viz.ViewerError, match=f"port {port} of 127.0.0.1 cannot be used"):
            viz.record([tiny()], viz.ToBrowser(port, 0, open_browser=False))


def test_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"rerun+http://127.0.0.1:{probe.getsockname()[1]}/proxy"
        with pytest.raises(viz.ViewerError, match="no viewer listens at"):
            viz.record([tiny()], viz.ToViewer(url))


@pytest.mark.parametrize("url", ["127.0.0.1:9876", "http://127.0.0.1:9876/proxy", "rerun+http://127.0.0.1:x/proxy", ""])
def test_urls_that_are_none(url):
    with pytest.raises(viz.ViewerError, match="expected one like rerun"):
        viz.record([tiny()], viz.ToViewer(url))


def test_a_viewer_that_does_not_start_says_why(monkeypatch):
    from occvino.viz.rerun import sinks

    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr(sinks, "_program", lambda: "false")
    for sink in (viz.NewViewer(0), viz.ToBrowser(0, 0, open_browser=False)):
        with pytest.raises(viz.ViewerError, match="did not start: it ended with 1"):
            viz.record([tiny()], sink)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen, or do not say")
def test_without_a_screen_the_ways_out_are_named(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(viz.ViewerError, match=r"no screen.*save a file, or use the browser"):
        viz.record([tiny()], viz.NewViewer(0))


def test_the_server_ends_with_its_process_however_that_ends():
    code = (
        "import os, numpy as np\n"
        "from tests.viz.test_rerun import tiny, viz\n"
        "def told(page):\n    print(page, flush=True)\n    os._exit(3)\n"
        "viz.record([tiny()], viz.ToBrowser(0, 0, open_browser=False, told=told))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", sink_ports(ended.stdout.strip())[1]), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.1)
    pytest.fail("the server outlives its process")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("sys.modules['rerun'] = None", 'pip install "occvino[viz]"'),
        ("sys.modules['rerun'] = types.ModuleType('rerun'); sys.modules['rerun.blueprint'] = sys", "has no Annot"),
    ],
    ids=["missing", "too old"],
)
def test_a_missing_or_old_package_is_named_with_its_version(block, words):
    code = f"import sys, types\n{block}\nfrom occvino.errors import OccvinoError\nimport occvino.viz\n"
    code += "try:\n    import occvino.viz.rerun\nexcept OccvinoError as error:\n    print(error)\n"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert words in told
    assert "version found: " in told
    assert 'pip install "occvino[viz]"' in told
