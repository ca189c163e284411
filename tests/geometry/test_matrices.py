"""Calibration as matrices, in NumPy: against the plan's geometry, in float64 and in float32."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.errors import RigError
from occvino.geometry import lift_reference
from occvino.geometry.calibration import Calibration
from occvino.geometry.lens import Lens
from occvino.geometry.lift import OUTSIDE, cells_of_points
from occvino.geometry.matrices import (
    Matrices,
    border_distances,
    cells_in_order,
    cells_of_positions,
    matrix_inputs,
    pieces_needed,
    positions,
)
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.variant import DepthNet
from occvino.variants import get_variant
from tests.geometry.test_lift import SMALL

NANO = get_variant("occvino-nano")


def unit(rng: np.random.Generator) -> np.ndarray:
    q = rng.standard_normal(4)
    return q / np.linalg.norm(q)


@st.composite
def matrix_calibrations(draw, variant=SMALL) -> tuple[Calibration, Matrices]:
    """Cameras of several sizes and directions, with skewed pixels, over all frames of a variant."""
    n = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = tuple((int(h), int(w)) for h, w in zip(rng.integers(96, 300, n), rng.integers(90, 140, n), strict=True))
    form = Matrices(sizes, None)
    count = n * variant.frames
    k = np.zeros((count, 3, 3))
    k[:, 0, 0], k[:, 1, 1] = rng.uniform(60, 300, (2, count))
    k[:, 0, 1], k[:, 1, 0] = rng.uniform(-4, 4, (2, count))
    k[:, :2, 2], k[:, 2, 2] = rng.uniform(30, 90, (count, 2)), 1
    rotation, shift = form.transform(variant)
    calibration = Calibration(
        np.array([pose(unit(rng), rng.uniform(-2, 2, 3)) for _ in range(count)]),
        np.array([pose(unit(rng), rng.uniform(-2, 2, 3)) for _ in range(count)]),
        k,
        np.tile(rotation, (variant.frames, 1, 1)),
        np.tile(shift, (variant.frames, 1)),
        np.eye(3),
    )
    return calibration, form


@settings(max_examples=25, deadline=None)
@given(matrix_calibrations())
def test_cells_of_matrices_are_those_of_the_reference(given_):
    calibration, form = given_
    slow = lift_reference.cells_of_points(calibration, SMALL)
    for kind in (np.float64, np.float32):
        found = positions(matrix_inputs(calibration, SMALL, form, kind), SMALL, form, kind)
        assert found.dtype == kind
        other = cells_of_positions(found, SMALL) != slow
        exact = positions(matrix_inputs(calibration, SMALL, form, np.float64), SMALL, form, np.float64)
        assert (border_distances(exact, SMALL)[other] < 1e-3).all()
        assert other.mean() < 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_distance_to_a_border_is_what_has_to_be_moved(seed: int):
    """A point keeps its cell when it moves by less, and loses it just beyond, one way or the other."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(-3, 40, (1, 1, 3, 200))
    found[:, :, 2] = rng.uniform(-0.9, 1.9, 200)
    cell = cells_of_positions(found, SMALL)
    distance = border_distances(found, SMALL)
    inside = cell != OUTSIDE
    assert inside.any()
    moved = []
    for axis in range(3):
        for sign in (-1, 1):
            for share in (0.99, 1.01):
                step = np.zeros_like(found)
                step[0, 0, axis] = sign * share * distance
                changed = cells_of_positions(found + step, SMALL) != cell
                if share < 1:
                    assert not (changed & inside).any()
                else:
                    moved.append(changed)
    assert np.any(moved, axis=0)[inside].all()


def test_images_of_another_size_see_along_the_same_rays(rig: Rig):
    """The rig has 198x352: as matrices of an IR for 900x1600, with the same cells. Moved, or points are on borders."""
    off = pose([1, 0, 0, 0], [0.013, 0.017, 0.011])
    rig = Rig(tuple(replace(camera, sensor2ego=off @ camera.sensor2ego) for camera in rig.cameras))
    form = Matrices(((900, 1600),) * 6, None)
    calibration = rig.calibration(NANO)
    inputs = matrix_inputs(calibration, NANO, form)
    np.testing.assert_allclose(inputs["intrinsics"][0, 0, 0], 280 * 1600 / 352, rtol=1e-6)
    found = positions(matrix_inputs(calibration, NANO, form, np.float64), NANO, form, np.float64)
    other = cells_of_positions(found, NANO) != cells_of_points(calibration, NANO)
    assert (border_distances(found, NANO)[other] < 1e-3).all()
    assert other.mean() < 1e-3


def test_a_depth_net_takes_images_of_one_size(rig: Rig):
    """It is told focal lengths in pixels of the raw image."""
    variant = replace(NANO, depth_net=DepthNet(8))
    with pytest.raises(RigError, match="is told the intrinsics of raw images of 900x1600 .* convert again with --rig"):
        matrix_inputs(rig.calibration(variant), variant, Matrices(((900, 1600),) * 6, None))


def test_matrices_know_no_lens(rig: Rig):
    bent = replace(rig.cameras[0], lens=Lens("plumb_bob", (-0.1, 0, 0, 0, 0)))
    calibration = Rig((bent, *rig.cameras[1:])).calibration(NANO)
    with pytest.raises(RigError, match="matrices, which know no lens: undistort"):
        matrix_inputs(calibration, NANO, Matrices(((198, 352),) * 6, None))


def test_pieces_are_runs_of_one_cell():
    rows, columns = NANO.feature_size
    cell = np.full((6, NANO.depth_bins, rows, columns), OUTSIDE, np.int32)
    assert pieces_needed(cell.reshape(-1), NANO) == 0
    cell[0, 0, :4, 0] = [5, 5, OUTSIDE, 5]
    assert pieces_needed(cell.reshape(-1), NANO) == 2
    cell[3, 2, :5, 1] = [1, 2, 1, 1, 3]
    assert pieces_needed(cell.reshape(-1), NANO) == 4


def test_cells_in_order_undoes_columns_and_frames():
    variant = replace(NANO, past_frames=1)
    rows, columns = variant.feature_size
    rng = np.random.default_rng(0)
    cell = rng.integers(OUTSIDE, variant.lift_grid.cells, (2, 2, variant.depth_bins, rows, columns)).astype(np.int32)
    frame = np.arange(2)[:, None, None, None, None] * variant.lift_grid.cells
    told = np.where(cell == OUTSIDE, variant.plan_cells() + 7, cell + frame)
    upright = told.transpose(0, 1, 4, 2, 3).reshape(-1, variant.depth_bins, rows)
    for given_ in (told.reshape(-1), upright.astype(np.float32)):
        np.testing.assert_array_equal(cells_in_order(given_, variant), cell.reshape(-1))


def test_the_form_reads_what_it_wrote():
    for form in (Matrices(((900, 1600), (480, 640)), 4), Matrices(((900, 1600),), None)):
        assert Matrices.from_json(form.to_dict()) == form
    assert Matrices.from_json(None) is None
