"""What a network makes on its way, as images: expected depth of each camera, and how strong the BEV is.

An artifact gives these where it was converted with `--output depth` or `--output bev`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.variant import Variant

_RAMP = np.array(
    [(252, 244, 190), (250, 170, 80), (214, 76, 96), (122, 40, 128), (40, 26, 92), (12, 10, 28)], np.float64
)
"""Light to dark, each step as large to the eye as the others: near to far, and strong to weak."""


def feature_images(
    extras: Mapping[str, NDArray[Any]], variant: Variant, cameras: Sequence[str]
) -> dict[str, NDArray[np.uint8]]:
    """Images by name: "depth CAMERA" [fH, fW, 3], near is light; "bev" [Dx, Dy, 3] forward up, strong is light.

    Args:
        extras: outputs besides the labels, of `runtime.Occupancy`: "depth" [N, D, fH, fW], probabilities; "bev"
            [1, C, Dy, Dx] or [1, C, Dz, Dy, Dx].
        variant: whose depth bins they are.
        cameras: names of the key frame's, in the order of the network.
    """
    found: dict[str, NDArray[np.uint8]] = {}
    if "depth" in extras:
        depth = extras["depth"].astype(np.float64)
        metres = np.tensordot(depth, np.array(variant.depths()), (1, 0)) / depth.sum(axis=1)  # [N, fH, fW]
        first, last = variant.depths()[0], variant.depths()[-1]
        shares = np.log(metres / first) / np.log(last / first)  # as many colours for 1 to 2 m as for 20 to 40
        found |= {f"depth {name}": _coloured(share) for name, share in zip(cameras, shares, strict=False)}
    if "bev" in extras:
        strength = np.linalg.norm(extras["bev"][0].astype(np.float64).reshape(-1, *extras["bev"].shape[-2:]), axis=0)
        strongest = np.percentile(strength, 99.5) or 1.0
        share = 1 - np.clip(strength / strongest, 0, 1)  # [Dy, Dx], y to the left
        found["bev"] = _coloured(share.T[::-1, ::-1])
    return found


def _coloured(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours [H, W, 3] of shares 0..1 along the ramp."""
    at = np.clip(share, 0, 1) * (len(_RAMP) - 1)
    channels = [np.interp(at, np.arange(len(_RAMP)), _RAMP[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
