"""Resize and crop inside the graph: whole pictures u8 in, the network's `images` u8 out, as Pillow makes them.

Both passes of the filter are products with banded matrices (`resample`): a picture's row of width * 3 values, as it
lies in memory, is cut into overlapping pieces, and each is multiplied by a small dense matrix. No transpose is needed,
the clipped windows at the edges are rows of the matrix like any other, and every size goes the same way.

The arithmetic must be float32: half precision would round away three bits of the weights. So the nodes are marked as
ones whose precision is not to be lowered; the CPU plugin honours that for bf16 (tests/conversion/test_raw_frames.py).
"""

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset8, opset13

from occvino.cameras import ImageTransform
from occvino.image_input import ImageInput
from occvino.resample import bands, filter_matrix

FRAMES, IMAGES = "frames", "images"
PREFIX = "raw_frames/"
"""Of the names of the nodes made here."""
_COLUMNS, _ROWS = 16, 64
"""Output pixels a matrix makes. 16 columns of 3 colours fill vector registers of 16 without a rest, and a longer piece
multiplies more zeros (32 took 14 % longer in all)."""
_MARK = '<rt_info><attribute name="precise" version="0"/></rt_info>'
_LAYER = re.compile(rf'(<layer [^>]*name="{PREFIX}[^>]*>\s*(?:<data [^>]*/>)?)')


def take_raw_frames(xml_path: Path, image_input: ImageInput) -> None:
    """Let the IR of a file take whole pictures under the name `frames` instead of `images`; the file is replaced.

    Raises:
        RigError: the pictures are too flat for the network.
    """
    model = ov.Core().read_model(xml_path)
    images = model.input(IMAGES)
    transform = ImageTransform.for_test(image_input.size, (images.shape[1], images.shape[2]))
    whole = resizing(image_input, transform, images.shape[0])
    _join(model, whole)
    with tempfile.TemporaryDirectory(dir=xml_path.parent) as folder:
        joined = Path(folder) / xml_path.name
        ov.save_model(model, joined, compress_to_fp16=False)
        del model, images  # they read from the file that is replaced
        joined.write_text(_LAYER.sub(rf"\1{_MARK}", joined.read_text(encoding="utf-8")), encoding="utf-8")
        for name in (xml_path.with_suffix(".bin").name, xml_path.name):
            (Path(folder) / name).replace(xml_path.parent / name)


def resizing(image_input: ImageInput, transform: ImageTransform, pictures: int) -> ov.Model:
    """The model `frames` [N, *image_input.shape] u8 -> `images` [N, H, W, 3] u8, RGB."""
    height, width = image_input.size
    left, top, right, bottom = transform.crop
    frames = opset8.parameter([pictures, *image_input.shape], np.uint8, name=PREFIX + FRAMES)
    frames.output(0).set_names({FRAMES})
    rgb = opset8.nv12_to_rgb(frames) if image_input.layout == "nv12" else frames
    rows = opset8.reshape(rgb, np.array([pictures, height, width * 3]), special_zero=False)
    down = filter_matrix(height, transform.resized[1])[top:bottom]
    used = np.flatnonzero(down.any(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1  # the rows that survive the crop
    across = filter_matrix(width, transform.resized[0])[left:right]
    colours = np.eye(3)[::-1] if image_input.layout == "bgr" else np.eye(3)
    wide = opset8.concat([_along_rows(rows, band, colours, first, last) for band in bands(across, _COLUMNS)], axis=2)
    small = opset8.concat([_along_columns(wide, band) for band in bands(down[:, first:last], _ROWS)], axis=1)
    images = opset8.reshape(small, np.array([pictures, bottom - top, right - left, 3]), special_zero=False)
    images.output(0).set_names({IMAGES})
    model = ov.Model([images.output(0)], [frames], "raw_frames")  # pyright: ignore[reportGeneralTypeIssues]
    for index, node in enumerate(model.get_ordered_ops()):
        if node.get_type_name() not in ("Parameter", "Result"):
            node.set_friendly_name(f"{PREFIX}{index}_{node.get_type_name()}")
    return model


def _along_rows(rows: Any, band: Any, colours: NDArray[np.float64], first: int, last: int) -> Any:
    """Some columns of the picture, float32 of whole numbers [N, last - first, columns * 3]."""
    piece = opset8.slice(rows, [first, 3 * band.start], [last, 3 * band.stop], [1, 1], [1, 2])
    weights = np.kron(band.weights.T, colours).astype(np.float32)  # [pixels * 3, columns * 3]
    return _levels(opset8.matmul(opset8.convert(piece, "f32"), weights, False, False))


def _along_columns(wide: Any, band: Any) -> Any:
    """Some rows of the picture, u8 [N, rows, W * 3]."""
    piece = opset8.slice(wide, [band.start], [band.stop], [1], [1])
    return opset8.convert(_levels(opset8.matmul(band.weights.astype(np.float32), piece, False, False)), "u8")


def _levels(values: Any) -> Any:
    """Rounded as Pillow rounds, which is up from a half, and kept within 0..255."""
    return opset13.clamp(opset13.round(values, "half_away_from_zero"), 0.0, 255.0)


def _join(model: ov.Model, whole: ov.Model) -> None:
    """Let the model's `images` be what `whole` gives."""
    images = model.input(IMAGES)
    made = whole.output(0).get_node().input_value(0)
    for value in images.get_target_inputs():
        value.replace_source_output(made)
    images.set_names(set())
    model.remove_parameter(images.get_node())
    model.add_parameters(whole.get_parameters())
    made.set_names({IMAGES})
    model.validate_nodes_and_infer_types()
