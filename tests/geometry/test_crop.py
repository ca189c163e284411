"""Which rows of an image the network sees, and that the geometry follows."""

from dataclasses import replace

import numpy as np
import pytest

from occvino.errors import RigError
from occvino.geometry import lift_reference
from occvino.geometry.image_transform import ImageTransform, parse_crop
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.rig import Rig
from occvino.variants import get_variant
from tests.conftest import make_camera
from tests.small import SMALL

VOXELS = SMALL[1]  # takes 64x96; heights tell rows apart
FOUR_TO_THREE = make_camera("CAM_FRONT", yaw=7.3, width=192, height=144, focal=151.3)  # 96x72 resized: 8 too many


@pytest.mark.parametrize(("crop", "top"), [("top", 8), ("middle", 4), (0, 0), (3, 3), (8, 8)])
def test_a_plan_with_a_crop_is_that_of_the_reference(crop, top):
    variant = replace(VOXELS, crop=crop)
    rig = Rig((FOUR_TO_THREE, make_camera("CAM_BACK", yaw=171.9, width=192, height=144, focal=103.7)))
    (transform, _) = rig.image_transforms(variant)
    assert transform == ImageTransform(0.5, (96, 72), (0, top, 96, top + 64))
    by_hand = replace(
        rig.calibration(VOXELS), post_trans=np.array([[0, -top, 0]] * 2), post_rot=[np.diag([0.5, 0.5, 1])] * 2
    )
    plan = PoolingPlan.from_rig(rig, variant)
    expected = PoolingPlan.from_frames(lift_reference.cells_of_points(by_hand, variant), variant)
    np.testing.assert_array_equal(plan.ranks_depth, expected.ranks_depth)
    np.testing.assert_array_equal(plan.interval_starts, expected.interval_starts)


def test_crops_give_other_plans():
    plans = [PoolingPlan.from_rig(Rig((FOUR_TO_THREE,)), replace(VOXELS, crop=crop)) for crop in ("top", "middle", 0)]
    assert len({plan.ranks_depth.tobytes() for plan in plans}) == 3


def test_the_published_crop_is_the_default():
    size = (64, 96), (40, 96)
    assert ImageTransform.for_test(*size) == ImageTransform.for_test(*size, "top")
    assert ImageTransform.for_test(*size).crop == (0, 24, 96, 64)
    assert get_variant("flashocc-r50-M0").crop == "top"


def test_a_principal_point_outside_of_the_crop_is_refused_with_the_crop_to_take():
    nano = get_variant("occvino-nano")
    square = Rig((make_camera("CAM_FRONT", width=352, height=352),))
    with pytest.raises(
        RigError,
        match=r"CAM_FRONT: the crop 'top' keeps the rows 224 to 352 of the image resized to 352x352 for occvino-nano, "
        r"and the principal point is in row 176: .*--crop middle, or --crop ROWS",
    ):
        square.calibration(nano)
    assert square.image_transforms(replace(nano, crop="middle"))[0].crop == (0, 112, 352, 240)


def test_intrinsics_of_another_image_size_are_refused_with_the_values():
    camera = make_camera("CAM_FRONT")
    wrong = replace(camera, intrinsics=np.diag([1600 / 352, 1600 / 352, 1]) @ camera.intrinsics)
    with pytest.raises(
        RigError, match=r"the principal point \(800, 450\) is outside of the 352x198 image: .*Rig.scaled"
    ):
        Rig((wrong,)).calibration(get_variant("occvino-nano"))


@pytest.mark.parametrize(("text", "crop"), [("top", "top"), ("middle", "middle"), ("0", 0), ("70", 70), (12, 12)])
def test_a_crop_is_read(text, crop):
    assert parse_crop(text) == crop


@pytest.mark.parametrize("text", ["bottom", "-1", "1.5", "", -3, True, 2.0])
def test_what_is_no_crop_is_refused(text):
    with pytest.raises(RigError, match="expected top, middle, or how many rows"):
        parse_crop(text)


def test_more_rows_than_there_are_to_spare_are_refused():
    with pytest.raises(RigError, match="CAM_FRONT: a 192x144 image scaled to width 96 .* a crop of 9 .* use 0 to 8"):
        Rig((FOUR_TO_THREE,)).image_transforms(replace(VOXELS, crop=9))
