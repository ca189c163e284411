"""The HTML page as a file: what is in it, how large it is, and what is refused."""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from occvino.datasets.shipped import shipped_scene
from occvino.evaluation.view import dataset_frames
from occvino.viz import html
from occvino.viz.html import write_html
from occvino.viz.palette import PictureError

TOOLS = Path(__file__).parents[2] / "tools" / "viewer"


@pytest.fixture(scope="module")
def frames():
    return list(dataset_frames(shipped_scene(), range(3)))


def element(page, name):
    return re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', page, re.DOTALL)[1]


def test_the_page_holds_the_volumes_and_asks_for_nothing(frames, tmp_path):
    path = tmp_path / "page.html"
    shown = replace(frames[0], truth=frames[1].labels, mask=frames[1].labels != 17)
    assert write_html([shown, frames[2]], path, title="</title><b>", labels="Truth") == 2
    page = path.read_text(encoding="utf-8")
    for name, expected in (("labels", shown.labels), ("truth", shown.truth), ("mask", shown.mask)):
        stored = zlib.decompress(base64.b64decode(element(page, f"volume-0-{name}")))
        np.testing.assert_array_equal(np.frombuffer(stored, np.uint8).reshape(expected.shape), expected)
    instances = zlib.decompress(base64.b64decode(element(page, "volume-1-instances")))
    np.testing.assert_array_equal(np.frombuffer(instances, "<u2"), frames[2].instances.reshape(-1))
    meta = json.loads(element(page, "meta"))
    assert meta["title"] == "</title><b>"
    assert "</title><b>" not in page
    assert [frame["name"] for frame in meta["frames"]] == [frames[0].name, frames[2].name]
    assert [each["name"] for each in meta["classes"]] == list(shown.class_names[:-1])
    outside = re.findall(r"(?:src|href)=\"(?!data:)[^\"]*|@import|url\(", page.replace(element(page, "meta"), ""))
    assert not outside, outside


def test_sizes_are_what_the_docs_say(frames, tmp_path):
    path = tmp_path / "page.html"
    write_html(frames[:1], path)
    assert path.stat().st_size < 3e6
    with_all = replace(frames[0], truth=frames[1].labels, mask=frames[1].labels != 17)
    write_html([with_all] * 20, path)
    assert path.stat().st_size < 25e6


def test_frustums_are_where_the_cameras_look(frames, tmp_path):
    path = tmp_path / "page.html"
    write_html(frames[:1], path)
    cameras = json.loads(element(path.read_text(encoding="utf-8"), "meta"))["frames"][0]["cameras"]
    for drawn, camera in zip(cameras, frames[0].rig.cameras, strict=True):
        corners = np.array(drawn["corners"])
        pixels, depth = project(camera, corners)
        np.testing.assert_allclose(depth, 1.6, atol=2e-3)
        expected = [[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]]
        np.testing.assert_allclose(pixels, expected, atol=2)


def project(camera, points):
    seen = (points - camera.sensor2ego[:3, 3]) @ camera.sensor2ego[:3, :3]
    image = seen @ camera.intrinsics.T
    return image[:, :2] / image[:, 2:], seen[:, 2]


def test_what_cannot_be_shown_is_refused_and_the_old_page_stays(frames, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(PictureError, match="no frame"):
        write_html([], path)
    names = (*frames[1].class_names[:-2], "free")
    other = replace(frames[1], class_names=names, labels=np.minimum(frames[1].labels, 16))
    with pytest.raises(PictureError, match="17 classes"):
        write_html([frames[0], other], path)
    assert path.read_text() == "old"


def test_the_script_is_made_of_the_sources_beside_it():
    """Whoever changes tools/viewer has to run its build."""
    digest = hashlib.sha256()
    for source in (*sorted((TOOLS / "src").iterdir()), TOOLS / "package.json"):
        digest.update(source.read_bytes())
    head = (Path(html.__file__).parent / "viewer.js").read_text(encoding="utf-8")[:2000]
    assert digest.hexdigest() in head
    assert "MIT License" in head
    assert json.loads((TOOLS / "package.json").read_text())["dependencies"]["three"] in head
