"""Films: as many pictures as frames, of one size, and nothing left behind when one fails."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from occvino.datasets.shipped import shipped_scene
from occvino.evaluation.view import dataset_frames
from occvino.viz.film import film_frame, write_gif, write_mp4
from occvino.viz.palette import COLOURS, PictureError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frames():
    return list(dataset_frames(shipped_scene(), range(3)))


def test_a_gif_has_all_frames(frames, tmp_path):
    assert write_gif(frames, tmp_path / "drive.gif", rate=4) == 3
    with Image.open(tmp_path / "drive.gif") as film:
        assert film.n_frames == 3
        assert film.info["duration"] == 250
        assert film.width == 800
    assert (tmp_path / "drive.gif").stat().st_size < 1_000_000


def test_a_film_shows_the_frames_in_order(frames, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="films are written by imageio-ffmpeg (extra viz)")
    assert write_mp4(frames, tmp_path / "drive.mp4", rate=2) == 3
    reader = ffmpeg.read_frames(str(tmp_path / "drive.mp4"))
    meta = next(reader)
    shown = [np.frombuffer(page, np.uint8).reshape(meta["size"][1], meta["size"][0], 3) for page in reader]
    assert len(shown) == 3
    assert meta["fps"] == 2
    for page, frame in zip(shown, frames, strict=True):
        assert np.abs(page.astype(int) - np.asarray(film_frame(frame)).astype(int)).mean() < 6


def test_a_frame_without_images_or_truth(frames):
    alone = replace(frames[0], images={})
    assert film_frame(alone).height < film_frame(frames[0]).height
    with pytest.raises(PictureError, match="has no ground truth to draw"):
        film_frame(alone, truth=True)


def test_a_film_that_fails_leaves_the_old_one(frames, tmp_path):
    path = tmp_path / "drive.mp4"
    path.write_bytes(b"old")
    pytest.importorskip("imageio_ffmpeg", reason="films are written by imageio-ffmpeg (extra viz)")
    with pytest.raises(PictureError, match="give one rig"):
        write_mp4([frames[0], replace(frames[1], images={})], path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["drive.mp4"]
    with pytest.raises(PictureError, match="no frame"):
        write_gif([], tmp_path / "none.gif")


def test_a_gif_keeps_the_colours_of_classes(frames, tmp_path):
    """Also of what has few pixels, in every frame."""
    write_gif(frames, tmp_path / "drive.gif")
    with Image.open(tmp_path / "drive.gif") as film:
        for index, frame in enumerate(frames):
            film.seek(index)
            shown = np.asarray(film.convert("RGB")).astype(int)
            drawn = film_frame(frame)
            wanted = np.asarray(drawn.resize((shown.shape[1], shown.shape[0]), Image.Resampling.LANCZOS)).astype(int)
            for name in ("car", "pedestrian", "barrier"):
                there = np.abs(wanted - COLOURS[name]).max(axis=2) < 24
                assert there.sum() > 20
                assert np.abs(shown - wanted)[there].max(axis=1).mean() < 24
