"""Chromium without a window, for pages that we write."""

import os
import shutil
from contextlib import contextmanager

import pytest

_FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking")


def chromium():
    """Path of Chromium. Skips, saying so, where there is none; fails where OCCVINO_REQUIRE_CHROMIUM is set."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None and os.environ.get("OCCVINO_REQUIRE_CHROMIUM"):
        pytest.fail("OCCVINO_REQUIRE_CHROMIUM is set, and there is no chromium on the path")
    if found is None:
        pytest.skip("there is no chromium on the path")
    return found


@contextmanager
def started():
    """The browser. One at a time: playwright's own loop cannot be nested."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pages are driven by playwright (extra dev)")
    path = chromium()
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, width=1280, height=800):
    """A page that has drawn, and the lists of what it asked for and of what went wrong."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark")
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.resolve().as_uri())
    page.wait_for_function("window.viewer && viewer.state.ready", timeout=60_000)
    settled(page)
    yield page, asked, wrong
    page.close()


def settled(page):
    """Wait until what was asked for is on the screen."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
