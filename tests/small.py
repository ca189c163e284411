"""Small variants with the parts of the published ones: what is too dear for CI in full size is tested on these."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from occvino.variants import Axis, DepthNet, Grid, Panoptic, Stereo, Swin, Variant

_MODULE = sys.modules["occvino.variants"]
_HEIGHT = Axis(-1.0, 5.4, 0.8)
_PILLARS = Variant(
    name="small-pillars",
    summary="for tests",
    input_size=(64, 96),
    depth=Axis(1.0, 13.0, 1.0),
    lift_grid=Grid(Axis(-8, 8, 0.5), Axis(-8, 8, 0.5), Axis(-1.0, 5.4, 6.4)),
    occupancy_grid=Grid(Axis(-8, 8, 0.5), Axis(-8, 8, 0.5), _HEIGHT),
    backbone_depth=18,
    backbone_width=8,
    neck_channels=16,
    context_channels=8,
    bev_channels=(8, 16, 32),
    trunk_channels=16,
)
_VOXELS = replace(_PILLARS, name="small-voxels", lift_grid=_PILLARS.occupancy_grid)
SMALL = (
    _PILLARS,
    _VOXELS,
    replace(_PILLARS, name="small-pano", depth_net=DepthNet(8), panoptic=Panoptic()),
    replace(_PILLARS, name="small-4d", depth_net=DepthNet(8), past_frames=2),
    replace(_PILLARS, name="small-stereo", depth_net=DepthNet(8), past_frames=1, stereo=Stereo(), growing_depth=True),
    replace(_VOXELS, name="small-voxels-stereo", depth_net=DepthNet(8), past_frames=1, stereo=Stereo()),
    replace(
        _PILLARS,
        name="small-swin",
        swin=Swin(width=8, blocks=(2, 2, 2, 2), heads=(1, 2, 2, 4), window=5),
        depth_net=DepthNet(8),
        past_frames=1,
        stereo=Stereo(),
    ),
)


@contextmanager
def known() -> Iterator[None]:
    """The small variants are among those that have a name."""
    with patch.object(_MODULE, "_VARIANTS", (*_MODULE._VARIANTS, *SMALL)):
        yield
