"""Resize and crop inside the graph: raw images u8 in, the network's `images` u8 out, as Pillow makes them.

Both passes of the filter are products with banded matrices (`images.resample`): the image is cut into overlapping
upright strips, their colours are put into planes, and each strip is multiplied by a small dense matrix; then the same
with lying strips. The clipped windows at the edges are rows of the matrix like any other, and every size goes the same
way. What takes time is moving bytes, not multiplying: so a strip is cut and laid out while it is small enough for a
cache, and what lies between the passes is u8, as it is in Pillow (docs/benchmarks.md).

The arithmetic must be float32: half precision would round away three bits of the weights. So the nodes are marked as
ones whose precision is not to be lowered; the CPU plugin honours that for bf16 (tests/conversion/test_raw_images.py).
"""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset8, opset13

from occvino.conversion.rewrite import read_to_change, write_ir
from occvino.geometry.image_transform import ImageTransform
from occvino.images.layout import ImageInput
from occvino.images.resample import Band, bands, filter_matrix
from occvino.variant import Crop

FRAMES, IMAGES = "frames", "images"
PREFIX = "raw_images/"
"""Of the names of the nodes made here."""
_COLUMNS, _ROWS = 32, 16
"""Output pixels a matrix makes. 32 columns are two vector registers; a longer window multiplies more zeros."""


def take_raw_images(xml_path: Path, image_input: ImageInput, crop: Crop = "top") -> None:
    """Make the IR in a file take raw images as `frames`, and not resized ones as `images`; the file is replaced.

    `crop` is that of the variant.

    Raises:
        RigError: the images are too flat for the network.
    """
    model = read_to_change(xml_path)
    images = model.input(IMAGES)
    transform = ImageTransform.for_test(image_input.size, (images.shape[1], images.shape[2]), crop)
    _join(model, resizing(image_input, transform, images.shape[0]))
    made = [op.get_friendly_name() for op in model.get_ops() if op.get_friendly_name().startswith(PREFIX)]
    write_ir(model, xml_path, precise=set(made))


def resizing(image_input: ImageInput, transform: ImageTransform, count: int) -> ov.Model:
    """The model `frames` [N, *image_input.shape] u8 -> `images` [N, H, W, 3] u8, RGB."""
    height, width = image_input.size
    left, top, right, bottom = transform.crop
    frames = opset8.parameter([count, *image_input.shape], np.uint8, name=PREFIX + FRAMES)
    frames.output(0).set_names({FRAMES})
    rgb = opset8.nv12_to_rgb(frames) if image_input.layout == "nv12" else frames
    down = filter_matrix(height, transform.resized[1])[top:bottom]
    used = np.flatnonzero(down.any(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1  # the rows that survive the crop
    across = filter_matrix(width, transform.resized[0])[left:right]
    wide = opset8.concat([_across(rgb, band, first, last) for band in bands(across, _COLUMNS)], axis=3)
    small = opset8.concat([_down(wide, band) for band in bands(down[:, first:last], _ROWS)], axis=2)
    planes = opset8.gather(small, np.array([2, 1, 0]), 1) if image_input.layout == "bgr" else small
    images = opset8.transpose(planes, [0, 2, 3, 1])
    images.output(0).set_names({IMAGES})
    model = ov.Model([images.output(0)], [frames], "raw_images")  # pyright: ignore[reportGeneralTypeIssues]
    for index, node in enumerate(model.get_ordered_ops()):
        if node.get_type_name() not in ("Parameter", "Result"):
            node.set_friendly_name(f"{PREFIX}{index}_{node.get_type_name()}")
    return model


def _across(images: Any, band: Band, first: int, last: int) -> Any:
    """Some columns of the images [N, H, W, 3], made smaller along the rows: u8 [N, 3, last - first, columns]."""
    strip = opset8.slice(images, [first, band.start], [last, band.stop], [1, 1], [1, 2])
    planes = opset8.transpose(strip, [0, 3, 1, 2])
    return _levels(opset8.matmul(opset8.convert(planes, "f32"), band.weights.T.astype(np.float32), False, False))


def _down(wide: Any, band: Band) -> Any:
    """Some rows of the planes [N, 3, rows, W], made smaller along the columns: u8 [N, 3, rows, W]."""
    strip = opset8.slice(wide, [band.start], [band.stop], [1], [2])
    return _levels(opset8.matmul(band.weights.astype(np.float32), opset8.convert(strip, "f32"), False, False))


def _levels(values: Any) -> Any:
    """u8, rounded as Pillow rounds, which is up from a half, and kept within 0..255."""
    return opset8.convert(opset13.clamp(opset13.round(values, "half_away_from_zero"), 0.0, 255.0), "u8")


def _join(model: ov.Model, resizer: ov.Model) -> None:
    """Let the model's `images` be the output of `resizer`."""
    images = model.input(IMAGES)
    made = resizer.output(0).get_node().input_value(0)
    for value in images.get_target_inputs():
        value.replace_source_output(made)
    images.set_names(set())
    model.remove_parameter(images.get_node())
    model.add_parameters(resizer.get_parameters())
    made.set_names({IMAGES})
    model.validate_nodes_and_infer_types()
