"""Small variants with the parts of the published ones: what is too dear for CI in full size is tested on these."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from occvino.variant import Axis, DepthNet, Grid, Panoptic, Stereo, Swin, Variant

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


def small_form(variant: Variant) -> Variant:
    """A variant with every part and frame of this one, so small that all plugins run it in seconds.

    Its images are those of the shipped scene, resized and cropped as for any other. Channels and depth bins are
    multiples of 32: on others the GPU plugin's reference convolutions are wrong in f16 (tests/gpu/README.md).
    """
    heights = _HEIGHT if variant.volumetric else _PILLARS.lift_grid.z
    return replace(
        variant,
        name=f"small-{variant.name}",
        input_size=(64, 128),
        depth=Axis(1.0, 13.0, 0.375),
        lift_grid=replace(_PILLARS.lift_grid, z=heights),
        occupancy_grid=_PILLARS.occupancy_grid,
        backbone_width=32,
        neck_channels=32,
        context_channels=32,
        bev_channels=(32, 64, 128),
        trunk_channels=32,
        swin=variant.swin and Swin(width=32, blocks=(2, 2, 2, 2), heads=(1, 2, 4, 8), window=5),
        depth_net=variant.depth_net and DepthNet(32),
        published=None,
    )


def small_forms() -> tuple[Variant, ...]:
    """Of every variant there is."""
    return tuple(small_form(variant) for variant in _MODULE._VARIANTS)


WIDE = tuple(replace(variant, name=f"wide-{variant.name}", input_size=(64, 128)) for variant in SMALL)
"""For images of 16:9, as those of the scene that ships inside."""


@contextmanager
def known(*more: Variant) -> Iterator[None]:
    """These variants, or else the small ones, are among those that have a name."""
    with patch.object(_MODULE, "_VARIANTS", (*_MODULE._VARIANTS, *(more or SMALL))):
        yield
