"""The raw images that an IR takes, as a camera gives them; it resizes and crops them itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from occvino.errors import OccvinoError, warn

Layout: TypeAlias = Literal["rgb", "bgr", "nv12"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

NUSCENES = (900, 1600)
"""Height and width of nuScenes images."""


@dataclass(frozen=True)
class ImageInput:
    """Size and layout of the raw images that an IR takes as its input `frames`.

    That name is part of the artifact's format; an `occvino.Frame` is something else.

    Args:
        size: (height, width) in pixels, the same for every camera.
        layout: "rgb" or "bgr", u8 [N, height, width, 3]; "nv12", u8 [N, height * 3 / 2, width, 1]: the Y plane, and
            under it U and V interleaved at half the size (BT.601, video range).

    Raises:
        OccvinoError: a size below 1, an unknown layout, or a size that NV12 cannot have.
    """

    size: tuple[int, int] = NUSCENES
    layout: Layout = "rgb"

    def __post_init__(self) -> None:
        height, width = self.size
        if height < 1 or width < 1:
            raise OccvinoError(f"image size {height}x{width}: two numbers of 1 or more are expected, height first")
        if self.layout not in LAYOUTS:
            raise OccvinoError(f"image layout {self.layout!r} is not one of {', '.join(LAYOUTS)}")
        if self.layout == "nv12" and (height % 2 or width % 2):
            raise OccvinoError(f"image size {height}x{width}: NV12 has one colour for 2x2 pixels, so both must be even")

    @classmethod
    def parse(cls, size: str, layout: str = "rgb") -> "ImageInput":
        """From text: "900x1600", height first, and a layout.

        Raises:
            OccvinoError: as the class, or the size is not two numbers.
        """
        height, _, width = size.partition("x")
        if not (height.isdecimal() and width.isdecimal()):
            raise OccvinoError(f"image size {size!r}: HEIGHTxWIDTH is expected, as 900x1600")
        return cls((int(height), int(width)), layout)  # type: ignore[arg-type]  # checked there

    @classmethod
    def of_sizes(cls, sizes: Iterable[tuple[int, int]], layout: str = "rgb") -> "ImageInput | None":
        """For cameras of these sizes; None if they differ, since an IR takes one size for all.

        Raises:
            OccvinoError: as the class.
        """
        found = set(sizes)
        return cls(found.pop(), layout) if len(found) == 1 else None  # type: ignore[arg-type]  # checked there

    @classmethod
    def from_json(cls, fields: Mapping[str, Any] | None) -> "ImageInput | None":
        """From the fields as a manifest holds them; None stays None."""
        return None if fields is None else cls((fields["size"][0], fields["size"][1]), fields["layout"])

    def check_orientation(self, cameras: Iterable[tuple[int, int]] = ()) -> None:
        """See that a size given as (width, height), the habit of the field, is not taken for a portrait image.

        A portrait size warns unless the cameras have it.

        Args:
            cameras: (height, width) of the rig's images; where there is no rig, nuScenes' are expected.

        Raises:
            OccvinoError: it is the size of the cameras, the wrong way round.
        """
        (height, width), seen = self.size, set(cameras)
        if height <= width or self.size in seen:
            return
        message = f"image size {height}x{width}: HEIGHTxWIDTH is expected: did you mean {width}x{height}?"
        if (width, height) in (seen or {NUSCENES}):
            where = "that is the size of the rig's images" if seen else "that is nuScenes' size"
            raise OccvinoError(f"{message} ({where}; images that are {height} high need a rig whose cameras are)")
        warn(f"{message} It is taken as images {height} high and {width} wide")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image, as the IR takes it."""
        height, width = self.size
        return (height * 3 // 2, width, 1) if self.layout == "nv12" else (height, width, 3)

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]} {self.layout}"
