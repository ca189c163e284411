"""A drive as a film: cameras above, the labels in perspective and from above below. GIF by Pillow, MP4 by imageio."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from occvino.errors import OccvinoError
from occvino.files import atomic_file
from occvino.images.open import opened
from occvino.viz import drawing
from occvino.viz.bev import draw_panel
from occvino.viz.figure import camera_strip
from occvino.viz.frame import EPOCH, ViewFrame
from occvino.viz.palette import COLOURS, INK, MUTED, PAGE, PictureError
from occvino.viz.perspective import perspective_picture

_WIDTH, _SPACE, _HEAD = 1280, 8, 34
_SIDE = 480
_GIF_WIDTH = 800
_LIGHTS = (0.5, 0.65, 0.82, 1.0)


def film_frame(frame: ViewFrame, *, truth: bool = False) -> Image.Image:
    """One picture of the film, 1280 pixels wide: cameras if there are images, then labels (or the truth) twice.

    Raises:
        PictureError: labels that cannot be drawn, or no truth where it was asked for.
    """
    labels = frame.truth if truth else frame.labels
    if labels is None:
        raise PictureError(f"frame {frame.name} has no ground truth to draw")
    above = draw_panel(labels, frame.grid, frame.class_names, _SIDE)
    width = _WIDTH - above.width - _SPACE
    solid = perspective_picture(labels, frame.grid, frame.class_names, size=(width, above.height))
    strip = _strip(frame)
    top = _HEAD + (strip.height + _SPACE if strip else 0)
    height = top + above.height
    page = Image.new("RGB", (_WIDTH, height + height % 2), PAGE)  # video wants even numbers
    _headline(page, frame)
    if strip:
        page.paste(strip, (0, _HEAD))
    page.paste(solid, (0, top))
    page.paste(above, (width + _SPACE, top))
    return page


def _strip(frame: ViewFrame) -> Image.Image | None:
    if not frame.images:
        return None
    images = [opened(image).convert("RGB") for image in frame.images.values()]
    small = [image.resize((416, max(1, round(416 * image.height / image.width)))) for image in images]
    return camera_strip(small, list(frame.images), width=_WIDTH)


def _headline(page: Image.Image, frame: ViewFrame) -> None:
    draw = ImageDraw.Draw(page)
    where = " / ".join(part for part in (frame.scene, frame.name) if part)
    drawing.text(draw, (12, 23), where, drawing.BODY, INK)
    told = [_clock(frame.time)] if frame.time is not None else []
    told += [f"mIoU {frame.miou:.1%}"] if frame.miou is not None else []
    drawing.text(draw, (_WIDTH - 12, 23), "   ".join(told), drawing.BODY, MUTED, "rs")


def write_gif(frames: Iterable[ViewFrame], path: str | Path, *, rate: float = 2.0) -> int:
    """Write an animated GIF, 800 pixels wide; `rate` is in frames a second. Returns how many frames it has.

    Raises:
        PictureError: no frame, or one that cannot be drawn.
        OutputError: the file cannot be written.
    """
    full = [_smaller(page) for page in _pages(frames)]
    colours = _gif_colours(full)
    pages = [page.quantize(palette=colours, dither=Image.Dither.NONE) for page in full]
    with atomic_file(path) as temporary:
        pages[0].save(
            temporary, format="GIF", save_all=True, append_images=pages[1:], duration=round(1000 / rate), loop=0
        )
    return len(pages)


def write_mp4(frames: Iterable[ViewFrame], path: str | Path, *, rate: float = 2.0) -> int:
    """Write an H.264 film as it is drawn, 1280 pixels wide; `rate` is in frames a second. Returns how many frames.

    Raises:
        PictureError: no frame, one that cannot be drawn, or one of another size than the first.
        OccvinoError: imageio-ffmpeg is not installed.
        OutputError: the file cannot be written.
    """
    ffmpeg = _ffmpeg()
    pages = _pages(frames)
    first = next(pages)
    count = 0
    with atomic_file(path) as temporary:
        writer = ffmpeg.write_frames(
            str(temporary), first.size, fps=rate, quality=7, macro_block_size=2, output_params=["-f", "mp4"]
        )
        writer.send(None)
        try:
            for page in itertools.chain([first], pages):
                if page.size != first.size:
                    raise PictureError(f"a frame is {page.size} pixels and the first one {first.size}: give one rig")
                writer.send(np.asarray(page).tobytes())
                count += 1
        finally:
            writer.close()
    return count


def _pages(frames: Iterable[ViewFrame]) -> Iterator[Image.Image]:
    empty = True
    for frame in frames:
        empty = False
        yield film_frame(frame)
    if empty:
        raise PictureError("there is no frame to make a film of")


def _clock(seconds: float) -> str:
    """Time of day (UTC) of seconds since 1970; seconds of a clock that began elsewhere."""
    if abs(seconds) < EPOCH:
        return f"{seconds:.2f} s"
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%H:%M:%S.%f}"[:-4]


def _smaller(page: Image.Image) -> Image.Image:
    return page.resize((_GIF_WIDTH, round(page.height * _GIF_WIDTH / page.width)), Image.Resampling.LANCZOS)


def _gif_colours(pages: Sequence[Image.Image]) -> Image.Image:
    """A palette of one film: of each class in light and shadow, and else those of some of its pages.

    Colours that are chosen by how many pixels have them leave out small things, and change from frame to frame.
    """
    some = [np.asarray(page)[::3, ::3].reshape(-1, 3) for page in pages[:: max(1, len(pages) // 8)]]
    kept = [tuple(min(255, round(c * light)) for c in colour) for colour in COLOURS.values() for light in _LIGHTS]
    seen = Image.fromarray(np.concatenate(some)[None]).quantize(256 - len(kept), Image.Quantize.MEDIANCUT)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(seen.getpalette() or [])[: 3 * (256 - len(kept))], *(c for colour in kept for c in colour)])
    return palette


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise OccvinoError('films are written by imageio-ffmpeg: pip install "occvino[viz]"') from error
    return imageio_ffmpeg
