"""What a variant is: the values that describe one model, and what follows from them.

Coordinates: the ego frame has x forward, y left, z up, in metres. A grid axis is `(lower, upper, step)`; a voxel
volume is indexed `[x, y, z]`, a bird's-eye-view (BEV) feature map `[y, x]`.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

NamedCrop: TypeAlias = Literal["top", "middle"]
Crop: TypeAlias = NamedCrop | int
CROPS: tuple[NamedCrop, ...] = get_args(NamedCrop)

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
    """A depth net that takes camera vectors (`geometry.inputs.camera_vectors`); its width is that of the image neck."""

    aspp_channels: int = 96


@dataclass(frozen=True)
class Stereo:
    """Depth from matching each frame with the previous one; takes one frame more than it lifts."""

    unseen_cost: float = 5.0
    """Added to the matching cost where the official code decides that the previous image does not see the point."""


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

    `crop` says which rows of a resized image are cut off where it is higher than the input: "top", as in the published
    models, all that are too many from the top; "middle", half of them above and half below; or a number of rows, which
    are cut from the top, and the rest from below. No layer depends on it.
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
    crop: Crop = "top"
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
        """How many frames the network takes: the lifted ones, and with stereo one more to match with."""
        return self.lifted_frames + (self.stereo is not None)

    @property
    def points_per_camera(self) -> int:
        """How many frustum points one camera has in one frame: D * fH * fW."""
        height, width = self.feature_size
        return self.depth_bins * height * width

    def points(self, cameras: int) -> int:
        """How many frustum points that many cameras have over all lifted frames: F * N * D * fH * fW."""
        return self.lifted_frames * cameras * self.points_per_camera

    def plan_cells(self) -> int:
        """How many cells a pooling plan fills: those of the lift grid, once for each lifted frame."""
        return self.lifted_frames * self.lift_grid.cells

    def plan_entries(self, cameras: int) -> int:
        """How many entries every pooling plan for that many cameras has (see `geometry.lift.PoolingPlan`)."""
        return self.points(cameras) + self.plan_cells()
