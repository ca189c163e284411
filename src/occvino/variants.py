"""Every model occvino knows, as frozen values: read one top to bottom and you have read its configuration.

Coordinates: the ego frame has x forward, y left, z up, in metres. A grid axis is `(lower, upper, step)`; a voxel
volume is indexed `[x, y, z]`, a bird's-eye-view (BEV) feature map `[y, x]`.
"""

import math
from dataclasses import dataclass, field, replace

from occvino.errors import VariantError

OCC3D_CLASSES = (
    "others",
    "barrier",
    "bicycle",
    "bus",
    "car",
    "construction_vehicle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "trailer",
    "truck",
    "driveable_surface",
    "other_flat",
    "sidewalk",
    "terrain",
    "manmade",
    "vegetation",
    "free",
)

NUSCENES_CAMERAS = (
    "CAM_FRONT_LEFT",
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_LEFT",
    "CAM_BACK",
    "CAM_BACK_RIGHT",
)
"""The order in which the published models take their cameras; the first one's ego pose is the key ego frame."""


@dataclass(frozen=True)
class Axis:
    """One regularly divided axis, in metres."""

    lower: float
    upper: float
    step: float

    @property
    def size(self) -> int:
        """How many steps the axis has."""
        return round((self.upper - self.lower) / self.step)


@dataclass(frozen=True)
class Grid:
    """A box of voxels in the ego frame, in metres."""

    x: Axis
    y: Axis
    z: Axis

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        return self.x.size, self.y.size, self.z.size

    @property
    def cells(self) -> int:
        """How many voxels there are in all."""
        dx, dy, dz = self.shape
        return dx * dy * dz

    @property
    def lower(self) -> tuple[float, float, float]:
        """The corner with the smallest coordinates."""
        return self.x.lower, self.y.lower, self.z.lower

    @property
    def step(self) -> tuple[float, float, float]:
        """The size of one voxel."""
        return self.x.step, self.y.step, self.z.step


@dataclass(frozen=True)
class Published:
    """Figures somebody else published, in per cent, with where they stand. Never measured by us."""

    miou: float
    source: str
    ray_iou: float | None = None
    ray_pq: float | None = None


@dataclass(frozen=True)
class Swin:
    """A Swin Transformer backbone: channels of the first stage, blocks and heads of each, window side in tokens."""

    width: int
    blocks: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int


@dataclass(frozen=True)
class DepthNet:
    """A depth net that is told about the cameras (`geometry.camera_vectors`); its width is that of the image neck."""

    aspp_channels: int = 96


@dataclass(frozen=True)
class Stereo:
    """Depth from matching each frame with the one before it; needs one frame of pictures more than are lifted."""

    unseen_cost: float = 5.0
    """Added to the matching cost where the official code takes the earlier picture not to see the point."""


@dataclass(frozen=True)
class Panoptic:
    """A head that finds the centres of instances. `score_threshold`: what a centre must exceed to count."""

    score_threshold: float = 0.3


@dataclass(frozen=True)
class Variant:
    """One model: what it takes, what its layers are, what it gives.

    `input_size` is (height, width) in pixels after resize and crop. `depth` holds the lower edges of the depth bins.
    `lift_grid` is where image features are pooled; `occupancy_grid` is where labels are predicted.
    `backbone_width` is the number of channels of the backbone's first stage.

    The rest is optional: `swin` replaces the ResNet; `depth_net` the plain 1x1 depth prediction; `past_frames` are
    lifted beside the key frame and stacked in the BEV; with `growing_depth`, depth bins widen by a constant factor from
    `depth.lower` to `depth.upper - 1` (and are as many as `depth` has).
    """

    name: str
    summary: str
    input_size: tuple[int, int]
    depth: Axis
    lift_grid: Grid
    occupancy_grid: Grid
    backbone_depth: int
    neck_channels: int
    context_channels: int
    bev_channels: tuple[int, int, int]
    trunk_channels: int
    published: Published | None = None
    backbone_width: int = 64
    swin: Swin | None = None
    depth_net: DepthNet | None = None
    growing_depth: bool = False
    past_frames: int = 0
    stereo: Stereo | None = None
    panoptic: Panoptic | None = None
    downsample: int = 16
    source_size: tuple[int, int] = (900, 1600)
    class_names: tuple[str, ...] = field(default=OCC3D_CLASSES, repr=False)
    camera_names: tuple[str, ...] = field(default=NUSCENES_CAMERAS, repr=False)

    @property
    def feature_size(self) -> tuple[int, int]:
        """(fH, fW): height and width of the image feature map."""
        height, width = self.input_size
        return height // self.downsample, width // self.downsample

    @property
    def depth_bins(self) -> int:
        """D, the number of depth bins."""
        return self.depth.size

    @property
    def stride4_channels(self) -> int:
        """Channels of the backbone's first stage, which stereo matches."""
        if self.swin:
            return self.swin.width
        return self.backbone_width * (4 if self.backbone_depth >= 50 else 1)

    def depths(self) -> tuple[float, ...]:
        """Depth along the optical axis that each bin stands for: its lower edge, in metres."""
        bins, first = range(self.depth_bins), self.depth.lower
        if not self.growing_depth:
            return tuple(first + index * self.depth.step for index in bins)
        growth = math.log((self.depth.upper - 1) / first)
        return tuple(first * math.exp(index / (self.depth_bins - 1) * growth) for index in bins)

    @property
    def volumetric(self) -> bool:
        """Whether features are pooled into voxels and encoded in 3D, and not into pillars."""
        return self.lift_grid.z.size > 1

    @property
    def lifted_frames(self) -> int:
        """How many frames are lifted into the grid: the key frame and the past ones."""
        return 1 + self.past_frames

    @property
    def frames(self) -> int:
        """How many frames of pictures the network takes: the lifted ones, and with stereo one more to match with."""
        return self.lifted_frames + (self.stereo is not None)

    def points(self, cameras: int) -> int:
        """How many frustum points that many cameras have over all lifted frames: F * N * D * fH * fW."""
        height, width = self.feature_size
        return self.lifted_frames * cameras * self.depth_bins * height * width

    def plan_cells(self) -> int:
        """How many cells a pooling plan fills: those of the lift grid, once for each lifted frame."""
        return self.lifted_frames * self.lift_grid.cells

    def plan_entries(self, cameras: int) -> int:
        """How many entries every pooling plan for that many cameras has (see `lift.PoolingPlan`)."""
        return self.points(cameras) + self.plan_cells()


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
    """The variant of that name; `flashocc-r50-M1` is another name of `flashocc-r50`.

    Raises:
        VariantError: there is no such variant; the message lists those there are.
    """
    wanted = _ALIASES.get(name.lower(), name)
    for variant in _VARIANTS:
        if variant.name.lower() == wanted.lower():
            return variant
    raise VariantError(f"no variant is called {name!r}: choose one of {', '.join(variants())}")
