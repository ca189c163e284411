"""Every model occvino knows, as frozen values: read one top to bottom and you have read its configuration.

Coordinates: the ego frame has x forward, y left, z up, in metres. A grid axis is `(lower, upper, step)`; a voxel
volume is indexed `[x, y, z]`, a bird's-eye-view (BEV) feature map `[y, x]`.
"""

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
    """A figure somebody else published, with where it stands. Never measured by us."""

    miou: float
    source: str


@dataclass(frozen=True)
class Variant:
    """One model: what it takes, what its layers are, what it gives.

    `input_size` is (height, width) in pixels after resize and crop. `depth` holds the lower edges of the depth bins.
    `lift_grid` is where image features are pooled; `occupancy_grid` is where labels are predicted.
    `backbone_width` is the number of channels of the backbone's first stage.
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

    def points(self, cameras: int) -> int:
        """How many frustum points that many cameras have: N * D * fH * fW."""
        height, width = self.feature_size
        return cameras * self.depth_bins * height * width

    def plan_entries(self, cameras: int) -> int:
        """How many entries every pooling plan for that many cameras has (see `lift.PoolingPlan`)."""
        return self.points(cameras) + self.lift_grid.cells


_OCC3D_GRID = Grid(Axis(-40.0, 40.0, 0.4), Axis(-40.0, 40.0, 0.4), Axis(-1.0, 5.4, 0.4))
_PILLARS = Grid(Axis(-40.0, 40.0, 0.4), Axis(-40.0, 40.0, 0.4), Axis(-1.0, 5.4, 6.4))
_FLASHOCC_README = "FlashOCC README, mIoU on the nuScenes validation set with the camera mask"

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
_VARIANTS = (
    _M0,
    replace(
        _M0,
        name="flashocc-r50",
        summary="FlashOcc M1: ResNet-50, 256x704, 0.5 m depth bins, 256-channel trunk",
        depth=Axis(1.0, 45.0, 0.5),
        trunk_channels=256,
        published=Published(32.08, _FLASHOCC_README),
    ),
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
