"""Every model occvino knows, as frozen values: read one top to bottom and you have read its configuration.

A new model is a new value here; what the fields mean is in `variant.py`. `occvino.variants` is the function below, not
this module: import from it with `from occvino.variants import ...`.
"""

from dataclasses import replace
from difflib import get_close_matches

from occvino.errors import VariantError
from occvino.variant import Axis, DepthNet, Grid, Panoptic, Published, Stereo, Swin, Variant

_OCC3D_GRID = Grid(Axis(-40.0, 40.0, 0.4), Axis(-40.0, 40.0, 0.4), Axis(-1.0, 5.4, 0.4))
_VOXELS = _OCC3D_GRID
_PILLARS = Grid(Axis(-40.0, 40.0, 0.4), Axis(-40.0, 40.0, 0.4), Axis(-1.0, 5.4, 6.4))
_FLASHOCC_README = "FlashOCC README, mIoU on the nuScenes validation set with the camera mask"
_PANOPTIC_README = "FlashOCC README, on the nuScenes validation set, no camera mask"
_PANOPTIC_CONFIG = "notes at the end of the official config, on the nuScenes validation set, no camera mask"
_SWIN_B = Swin(width=128, blocks=(2, 2, 18, 2), heads=(4, 8, 16, 32), window=12)

_M0 = Variant(
    name="flashocc-r50-M0",
    summary="FlashOcc M0: ResNet-50, 256x704, 1 m depth bins, 128-channel trunk",
    input_size=(256, 704),
    depth=Axis(1.0, 45.0, 1.0),
    lift_grid=_PILLARS,
    occupancy_grid=_OCC3D_GRID,
    backbone_depth=50,
    neck_channels=256,
    context_channels=64,
    bev_channels=(128, 256, 512),
    trunk_channels=128,
    published=Published(31.95, _FLASHOCC_README),
)
_M1 = replace(
    _M0,
    name="flashocc-r50",
    summary="FlashOcc M1: ResNet-50, 256x704, 0.5 m depth bins, 256-channel trunk",
    depth=Axis(1.0, 45.0, 0.5),
    trunk_channels=256,
    published=Published(32.08, _FLASHOCC_README),
)
_M2 = replace(
    _M1,
    name="flashocc-r50-4d-stereo",
    summary="FlashOcc M2: ResNet-50, 256x704, two frames, stereo depth in widening bins",
    context_channels=80,
    bev_channels=(160, 320, 640),
    depth_net=DepthNet(),
    growing_depth=True,
    past_frames=1,
    stereo=Stereo(),
    published=Published(37.84, _FLASHOCC_README),
)
_BEVDET = replace(
    _M1,
    name="bevdet-occ-r50",
    summary="BEVDetOCC: ResNet-50, 256x704, voxels encoded in 3D",
    lift_grid=_VOXELS,
    context_channels=32,
    bev_channels=(32, 64, 128),
    trunk_channels=32,
    published=Published(31.60, _FLASHOCC_README),
)
_BEVDET_STEREO = replace(
    _BEVDET,
    name="bevdet-occ-r50-4d-stereo",
    summary="BEVDetOCC: ResNet-50, 256x704, voxels encoded in 3D, two frames, stereo depth",
    depth_net=DepthNet(),
    past_frames=1,
    stereo=Stereo(),
    published=Published(36.1, _FLASHOCC_README),
)
_PANO_DEPTH = replace(
    _M1,
    name="panoptic-flashocc-r50-depth",
    summary="Panoptic-FlashOcc: ResNet-50, 256x704, camera-aware depth, instances; same network as -depth-pano",
    context_channels=80,
    bev_channels=(160, 320, 640),
    depth_net=DepthNet(),
    panoptic=Panoptic(),
    published=Published(28.91, _PANOPTIC_README, ray_iou=34.93),
)
_PANO_TINY = replace(
    _M0,
    name="panoptic-flashocc-r50-depth-tiny",
    summary="Panoptic-FlashOcc tiny: ResNet-50, 256x704, 1 m depth bins, camera-aware depth, 128-channel trunk",
    depth_net=DepthNet(),
    published=Published(28.83, _PANOPTIC_README, ray_iou=34.57),
)
_PANO_4D = replace(
    _PANO_DEPTH,
    name="panoptic-flashocc-r50-depth4d",
    summary="Panoptic-FlashOcc 4D: ResNet-50, 256x704, camera-aware depth, two frames",
    neck_channels=512,
    past_frames=1,
    panoptic=None,
    published=Published(29.57, _PANOPTIC_README, ray_iou=35.99),
)
_PANO_8F = replace(
    _PANO_4D,
    name="panoptic-flashocc-r50-depth4d-longterm8f",
    summary="Panoptic-FlashOcc 4D: ResNet-50, 256x704, camera-aware depth, eight past frames",
    past_frames=8,
    published=Published(31.49, _PANOPTIC_README, ray_iou=38.51),
)
_PANO_16F = replace(
    _PANO_4D,
    name="panoptic-flashocc-r50-depth4d-longterm16f",
    summary="Panoptic-FlashOcc 4D: ResNet-50, 256x704, camera-aware depth, sixteen past frames",
    past_frames=16,
    published=Published(31.55, _PANOPTIC_CONFIG, ray_iou=38.31),
)


def _with_instances(variant: Variant, published: Published | None, score_threshold: float = 0.3) -> Variant:
    """The `-pano` form of a variant: the same with the head for instances."""
    summary = variant.summary.removesuffix("; same network as -depth-pano").removesuffix(", instances")
    return replace(
        variant,
        name=f"{variant.name}-pano",
        summary=f"{summary}, instances",
        panoptic=Panoptic(score_threshold),
        published=published,
    )


_VARIANTS = (
    _M0,
    _M1,
    _M2,
    replace(
        _M2,
        name="flashocc-stbase-4d-stereo-512x1408",
        summary="FlashOcc M3: Swin-B, 512x1408, two frames, stereo depth",
        input_size=(512, 1408),
        swin=_SWIN_B,
        neck_channels=512,
        growing_depth=False,
        published=Published(43.52, _FLASHOCC_README),
    ),
    _BEVDET,
    _BEVDET_STEREO,
    replace(
        _BEVDET_STEREO,
        name="bevdet-occ-stbase-4d-stereo-512x1408",
        summary="BEVDetOCC: Swin-B, 512x1408, voxels encoded in 3D, two frames, stereo depth",
        input_size=(512, 1408),
        swin=_SWIN_B,
        neck_channels=512,
        published=Published(42.0, _FLASHOCC_README),
    ),
    _PANO_TINY,
    _with_instances(_PANO_TINY, Published(29.14, _PANOPTIC_README, ray_iou=34.81, ray_pq=12.9)),
    _PANO_DEPTH,
    _with_instances(_PANO_DEPTH, Published(29.39, _PANOPTIC_README, ray_iou=35.22, ray_pq=13.2)),
    _PANO_4D,
    _with_instances(_PANO_4D, Published(30.31, _PANOPTIC_README, ray_iou=36.76, ray_pq=14.5)),
    _PANO_8F,
    _with_instances(_PANO_8F, Published(31.57, _PANOPTIC_README, ray_iou=38.50, ray_pq=16.0)),
    _PANO_16F,
    _with_instances(_PANO_16F, None, score_threshold=0.1),
    Variant(
        name="occvino-nano",
        summary="Small model of our own: narrow ResNet-18, 128x352, 40-channel trunk; for demos, tests and CI",
        input_size=(128, 352),
        depth=Axis(1.0, 45.0, 1.0),
        lift_grid=_PILLARS,
        occupancy_grid=_OCC3D_GRID,
        backbone_depth=18,
        backbone_width=40,
        neck_channels=128,
        context_channels=32,
        bev_channels=(40, 80, 160),
        trunk_channels=40,
    ),
)
_ALIASES = {"flashocc-r50-m1": "flashocc-r50"}


def variants() -> tuple[str, ...]:
    """Names of all models, for `build`, `convert` and the command line."""
    return tuple(variant.name for variant in _VARIANTS)


def get_variant(name: str) -> Variant:
    """The variant of that name, in any case; `flashocc-r50-M1` is another name of `flashocc-r50`.

    Raises:
        VariantError: there is no such variant; the message has the nearest name, and lists those there are.
    """
    wanted = _ALIASES.get(name.lower(), name).lower()
    for variant in _VARIANTS:
        if variant.name.lower() == wanted:
            return variant
    meant = nearest(name)
    choose = f"did you mean {meant}? There are" if meant else "choose one of"
    raise VariantError(f"no variant is called {name!r}: {choose} {', '.join(variants())}")


def nearest(name: str) -> str | None:
    """The variant whose name is spelt most like this; None if none is alike."""
    spelt = {**_ALIASES, **{each.lower(): each for each in variants()}}
    found = get_close_matches(name.lower().replace("_", "-"), spelt, n=1)
    return spelt[found[0]] if found else None
