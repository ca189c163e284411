"""Let an IR take the cameras' matrices and compute the geometry itself: stock operators, static shapes.

The pooling bag and its plan give way to cells and a scatter (`bev_pool_scatter`); camera vectors and stereo warps are
computed from the same matrices. The NumPy twins of what is built here are `geometry.matrices.positions`,
`geometry.inputs.camera_vectors` and `stereo_warps`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import openvino as ov
from openvino import opset8 as ops

from occvino.bev_pool_scatter import bev_pool_pieces_openvino, bev_pool_points_openvino, dealt
from occvino.conversion.columns import BAG, before_the_zero, usual_rig
from occvino.conversion.rewrite import read_to_change, write_ir
from occvino.errors import OccvinoError
from occvino.geometry.inputs import PLAN_INPUTS
from occvino.geometry.lift import cells_of_points, frustum
from occvino.geometry.matrices import CELLS, MATRIX_INPUTS, POINTS_LOST, Matrices, pieces_needed
from occvino.geometry.rig import Rig
from occvino.images.layout import ImageInput
from occvino.runtime.calibration import calibration_nodes
from occvino.variant import Variant

CalibrationForm: TypeAlias = Literal["plan", "matrices"]
SCATTER = "scatter"
_PREFIX = "matrices/"
"""Of the names of all operators that are added."""
_AUGMENTATION = (1.0, 0.0, 0.0, 1.0, 1.0)
"""The five entries of the BEV augmentation that a camera vector has: none."""


def matrices_form(
    pooling: str | None, variant: Variant, rig: Rig | None, cameras: Sequence[str], image_input: ImageInput | None
) -> Matrices:
    """What is to be fixed in the IR: image sizes, and how many pieces a column may have.

    Args:
        pooling: "columns" to pool in pieces, sized for the rig and others of its make; "scatter" for each point by
            itself, which fits any rig; None for columns where the grid is flat and there is a rig or the variant's own
            cameras.
        variant: whose network it is.
        rig: whose images and points are to fit; nuScenes' when left out.
        cameras: names of the network's cameras.
        image_input: raw images that the IR takes.

    Raises:
        OccvinoError: there is no such pooling, or no rig to size pieces for.
    """
    if pooling not in (None, "columns", SCATTER):
        raise OccvinoError(f"pooling {pooling!r}: with calibration as matrices it is columns or {SCATTER}")
    known = rig is not None or tuple(cameras) == variant.camera_names
    if pooling == "columns" and not known:
        raise OccvinoError("pooling by columns is sized for a rig, and these are not nuScenes' cameras: give the rig")
    if pooling is None:
        pooling = "columns" if known and not variant.volumetric else SCATTER
    size = image_input.size if image_input else variant.source_size
    sizes = tuple((camera.height, camera.width) for camera in rig.cameras) if rig else (size,) * len(cameras)
    if pooling == SCATTER:
        return Matrices(sizes, None)
    source = rig or usual_rig().select(tuple(cameras))
    rows = variant.feature_size[0]
    # a rig of the same make, turned by two degrees, fills one cell more (see `ColumnSizes.with_margin`)
    return Matrices(sizes, min(rows, pieces_needed(cells_of_points(source.calibration(variant), variant), variant) + 1))


def take_matrices(xml_path: Path, variant: Variant, form: Matrices) -> None:
    """Make the IR in a file take matrices in the place of a plan; the file is replaced.

    Args:
        xml_path: of the IR, whose plan, camera vectors and warps are inputs.
        variant: whose network it is.
        form: what is fixed.

    Raises:
        OccvinoError: the IR does not pool as those of `convert` do.
    """
    model = read_to_change(xml_path)
    before = {op.get_friendly_name() for op in model.get_ops()}
    frames = variant.frames
    cameras = len(form.image_sizes)
    given = [
        ops.parameter([frames * cameras, *shape], np.float32, name=name)
        for name, shape in zip(MATRIX_INPUTS, ([3, 3], [4, 4]), strict=True)
    ]
    for parameter in given:
        parameter.output(0).set_names({parameter.get_friendly_name()})
    graph = MatrixGraph(variant, form, *given)
    for bag in [node for node in model.get_ops() if node.get_type_name() == BAG]:
        _pool(model, bag, graph)
    for name, made in (("cameras", graph.camera_vectors), ("warps", graph.stereo_warps)):
        for parameter in model.get_parameters():
            if parameter.get_friendly_name() == name:
                _replaced(parameter.output(0), made(parameter.output(0).get_shape()[0]))
                model.remove_parameter(parameter)
    for parameter in model.get_parameters():
        if parameter.get_friendly_name() in PLAN_INPUTS:
            model.remove_parameter(parameter)
    model.add_parameters(given)
    model.validate_nodes_and_infer_types()
    _name(op for op in model.get_ordered_ops() if op.get_friendly_name() not in before)
    computed = {op.get_friendly_name() for op in calibration_nodes(model)}
    write_ir(model, xml_path, {name for name in computed if name.startswith(_PREFIX)})


def _name(made: Iterable[ov.Node]) -> None:
    """Give the operators that were added names of their own, the same in every conversion."""
    for number, op in enumerate(made):
        if op.get_type_name() not in ("Parameter", "Result"):
            op.set_friendly_name(f"{_PREFIX}{number}/{op.get_type_name()}")


def _replaced(old: ov.Output, new: ov.Output) -> None:
    names = old.get_names()
    old.set_names(set())
    old.replace(new)
    new.set_names(names)


def _pool(model: ov.Model, bag: ov.Node, graph: "MatrixGraph") -> None:
    """One bag: its features and probabilities, with the cells of the graph."""
    feat = before_the_zero(bag.input_value(0))
    depth = before_the_zero(bag.input_value(4).get_node().input_value(0))
    if len(feat.get_shape()) != 4 or len(depth.get_shape()) != 4:
        raise OccvinoError(f"{bag.get_friendly_name()} does not pool as the IRs of `occvino convert` do")
    cells, pieces = graph.variant.plan_cells(), graph.form.pieces
    cell = graph.cells()
    if pieces is None:
        index = ops.convert(cell, "i32").output(0)
        index.set_names({CELLS})
        bev = bev_pool_points_openvino(depth, feat, index, cells)
    else:
        cell.set_names({CELLS})
        bev, lost = bev_pool_pieces_openvino(depth, feat, cell, cells, pieces)
        lost.set_names({POINTS_LOST})
        model.add_results([ops.result(lost)])
    names = bag.output(0).get_names()
    bag.output(0).set_names(set())
    bag.output(0).replace(bev)
    bev.set_names(names)


class MatrixGraph:
    """The arithmetic of `geometry.matrices.positions` and of `geometry.inputs`, on two parameters."""

    def __init__(self, variant: Variant, form: Matrices, intrinsics: ov.Node, camera2ego: ov.Node) -> None:
        self.variant, self.form = variant, form
        self.cameras = len(form.image_sizes)
        count = variant.frames * self.cameras
        self._camera2ego = camera2ego
        self._k = self._entries(intrinsics, count, 9)
        self._pose = self._entries(camera2ego, count, 16)
        self._count = count

    @staticmethod
    def _entries(matrices: ov.Node, count: int, size: int) -> list[ov.Output]:
        """The entries of matrices [count, ...], row by row, each [count, 1]."""
        flat = ops.reshape(matrices, _i64(count, size), False)
        return list(ops.split(flat, _i64_scalar(1), size).outputs())

    def _first(self, value: ov.Output, count: int, *, start: int = 0) -> Any:
        """The rows from `start` on, `count` of them."""
        if start == 0 and count == value.get_shape()[0]:
            return value
        return ops.slice(value, _i64(start), _i64(start + count), _i64(1), _i64(0))

    def cells(self) -> ov.Output:
        """The cell of every point, f32: [B*fW, D, fH] for pieces, [B*D*fH*fW] for points by themselves.

        Points of later frames have the cells behind those of the frames before; for what is outside see `dealt`.
        """
        variant, upright = self.variant, self.form.pieces is not None
        lifted = variant.lifted_frames * self.cameras
        rows, columns = variant.feature_size
        groups, lanes = (columns, rows) if upright else (1, rows * columns)

        def each(value: ov.Output) -> Any:  # one number a camera, to be broadcast
            return ops.reshape(self._first(value, lifted), _i64(lifted, 1, 1, 1), False)

        raw = self.form.raw_pixels(variant)  # [N, 2, fH*fW]
        if upright:
            raw = raw.reshape(self.cameras, 2, rows, columns).transpose(0, 1, 3, 2)
        raw = np.tile(raw.reshape(self.cameras, 2, groups, 1, lanes), (variant.lifted_frames, 1, 1, 1, 1))
        a, b, cx, c, d, cy = (each(value) for value in self._k[:6])
        u, v = (ops.subtract(_f32(raw[:, axis]), centre) for axis, centre in ((0, cx), (1, cy)))
        det = ops.subtract(ops.multiply(a, d), ops.multiply(b, c))
        x = ops.divide(ops.subtract(ops.multiply(d, u), ops.multiply(b, v)), det)
        y = ops.divide(ops.subtract(ops.multiply(a, v), ops.multiply(c, u)), det)
        depth = _f32(frustum(variant)[1].reshape(1, 1, -1, 1))
        grid = variant.lift_grid
        cell: Any = None
        inside: Any = None
        strides = (1, grid.shape[0], grid.shape[0] * grid.shape[1])
        for axis in range(3):
            r0, r1, r2, origin = (each(value) for value in self._pose[4 * axis : 4 * axis + 4])
            direction = ops.add(ops.add(ops.multiply(r0, x), ops.multiply(r1, y)), r2)  # [B, groups, 1, lanes]
            position = ops.add(ops.multiply(depth, direction), origin)  # [B, groups, D, lanes]
            position = ops.divide(ops.subtract(position, _f32(grid.lower[axis])), _f32(grid.step[axis]))
            here = ops.logical_and(ops.greater(position, _f32(-1.0)), ops.less(position, _f32(float(grid.shape[axis]))))
            inside = here if inside is None else ops.logical_and(inside, here)
            if grid.shape[axis] > 1:  # one bin: truncation gives 0
                index = ops.relu(ops.floor(position))  # of what is inside, truncation
                index = ops.multiply(index, _f32(float(strides[axis]))) if strides[axis] > 1 else index
                cell = index if cell is None else ops.add(cell, index)
        if variant.lifted_frames > 1:
            frame = np.repeat(np.arange(variant.lifted_frames), self.cameras) * grid.cells
            cell = ops.add(cell, _f32(frame.reshape(-1, 1, 1, 1)))
        outside = dealt((lifted, groups, variant.depth_bins, lanes), variant.plan_cells())
        chosen = ops.select(inside, cell, _f32(outside))
        if upright:
            return ops.reshape(chosen, _i64(lifted * columns, -1, rows), False).output(0)
        return ops.reshape(chosen, _i64(-1), False).output(0)

    def camera_vectors(self, asked: int) -> ov.Output:
        """`geometry.inputs.camera_vectors` of the first `asked` cameras [asked, 27]."""
        rotation, shift = self.form.transform(self.variant)
        frames = asked // self.cameras
        fixed = np.concatenate(
            [rotation[:, 0, :2], shift[:, :1], rotation[:, 1, :2], shift[:, 1:2], [_AUGMENTATION] * self.cameras],
            axis=1,
        )
        key = ops.slice(
            ops.reshape(self._first(self._camera2ego.output(0), self.cameras), _i64(self.cameras, 16), False),
            *(_i64(0), _i64(12), _i64(1), _i64(1)),
        )
        k = [self._first(self._k[entry], asked) for entry in (0, 4, 2, 5)]  # fx, fy, cx, cy
        of_key = ops.concat([key] * frames, 0) if frames > 1 else key
        return ops.concat([*k, _f32(np.tile(fixed, (frames, 1))), of_key], 1).output(0)

    def stereo_warps(self, asked: int) -> ov.Output:
        """`geometry.inputs.stereo_warps` of the first `asked` cameras [asked, 3, 4].

        Both poses are in the key ego frame, which cancels: no map coordinate comes into it. With R' for the rotation of
        the frame before, R'^T R = I + R'^T (R - R'): what rounding leaves is in proportion to the motion, and a frame
        that stands in for a missing one is warped to itself exactly.
        """
        rotation, shift = self.form.transform(self.variant)
        frames = asked // self.cameras
        scale, left, top = (
            _f32(np.tile(each.reshape(-1, 1), (frames, 1))) for each in (rotation[:, 0, 0], shift[:, 0], shift[:, 1])
        )
        a, b, cx, c, d, cy = (ops.multiply(self._first(value, asked), scale) for value in self._k[:6])
        px, py = ops.add(cx, left), ops.add(cy, top)
        to_pixel = _matrix([[a, b, px], [c, d, py], [_zeros(asked), _zeros(asked), _ones(asked)]])
        det = ops.subtract(ops.multiply(a, d), ops.multiply(b, c))
        ia, ib = ops.divide(d, det), ops.divide(ops.negative(b), det)
        ic, id_ = ops.divide(ops.negative(c), det), ops.divide(a, det)
        ix = ops.negative(ops.add(ops.multiply(ia, px), ops.multiply(ib, py)))
        iy = ops.negative(ops.add(ops.multiply(ic, px), ops.multiply(id_, py)))
        from_pixel = _matrix([[ia, ib, ix], [ic, id_, iy], [_zeros(asked), _zeros(asked), _ones(asked)]])
        now = [self._first(value, asked) for value in self._pose[:12]]
        before = [self._first(value, asked, start=self.cameras) for value in self._pose[:12]]
        turn = _matrix([[before[4 * row + column] for row in range(3)] for column in range(3)])  # transposed: inverse
        change = [
            [ops.subtract(now[4 * row + column], before[4 * row + column]) for column in range(3)] for row in range(3)
        ]
        change = _product(turn, _matrix(change))  # R'^T (R - R')
        apart = _matrix([[ops.subtract(now[4 * row + 3], before[4 * row + 3])] for row in range(3)])  # [asked, 3, 1]
        linear = ops.add(_product(_product(to_pixel, change), from_pixel), _f32(np.eye(3)))
        moved = _product(to_pixel, _product(turn, apart))
        return ops.concat([linear, moved], 2).output(0)


def _matrix(rows: Sequence[Sequence[Any]]) -> Any:
    """Matrices [B, rows, columns] of entries [B, 1]."""
    flat = ops.concat([entry for row in rows for entry in row], 1)
    return ops.reshape(flat, _i64(-1, len(rows), len(rows[0])), False)


def _product(left: Any, right: Any) -> Any:
    return ops.matmul(left, right, False, False)


def _zeros(count: int) -> Any:
    return _f32(np.zeros((count, 1)))


def _ones(count: int) -> Any:
    return _f32(np.ones((count, 1)))


def _f32(value: Any) -> Any:
    return ops.constant(np.asarray(value, np.float32))


def _i64(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))


def _i64_scalar(value: int) -> Any:
    return ops.constant(np.int64(value))
