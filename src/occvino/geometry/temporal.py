"""The three forms of a model that takes several frames: what a stream keeps, and which inputs its graph has for that.

* batch: the images of all frames at once, as the official code has it; nothing is kept;
* exact: what depends on the images alone is kept. Depth net, stereo and pooling of past frames run again with the
  cameras of the current one, so that the result is that of batch;
* fast: depth and features are kept as they were computed in their own frame, and pooled again where they are now.

State has a row for each of the N cameras. What a frame computed is an output of the graph under its own name, and an
input of the frames after it under that name and its age: `reduced` comes back as `reduced_1`, then as `reduced_2`.
The input `missing` marks the past frames that do not exist: the graph takes the current frame in their place.
"""

from typing import Literal, TypeAlias

from occvino.errors import OccvinoError
from occvino.variant import Variant

Temporal: TypeAlias = Literal["batch", "exact", "fast"]
FORMS: tuple[Temporal, ...] = ("batch", "exact", "fast")
MISSING = "missing"


def check_form(variant: Variant, temporal: str) -> None:
    """Refuse an unknown form, or a streaming form of a model that takes one frame.

    Raises:
        OccvinoError: names the value and what is expected.
    """
    if temporal not in FORMS:
        raise OccvinoError(f"temporal form {temporal!r} is not one of {', '.join(FORMS)}")
    if temporal != "batch" and variant.frames == 1:
        raise OccvinoError(f"{variant.name} takes one frame and has no past to keep: leave temporal={temporal!r} out")


def state_slots(variant: Variant, temporal: Temporal) -> dict[str, int]:
    """What is kept of a frame, and for how many frames each is needed.

    `reduced`: image features after the depth net's first layer, the last that knows nothing of the cameras.
    `stride4`: what stereo matches. In the exact form matching runs again for past frames too: in the second frame of a
    scene, the first one is matched with the *current* one.
    """
    if temporal == "batch":
        return {}
    past = variant.past_frames
    slots = {"reduced": past} if temporal == "exact" else {"depth": past, "features": past}
    if variant.stereo:
        slots["stride4"] = variant.frames - 1 if temporal == "exact" else 1
    return slots


def past_frames_kept(variant: Variant, temporal: Temporal) -> int:
    """How many past frames a stream remembers."""
    return max(state_slots(variant, temporal).values(), default=0)


def state_inputs(variant: Variant, temporal: Temporal) -> dict[str, tuple[str, int]]:
    """State inputs of the graph by name: which kind of state each is, and of how many frames ago."""
    return {
        f"{name}_{age}": (name, age)
        for name, slots in state_slots(variant, temporal).items()
        for age in range(1, slots + 1)
    }


def state_shapes(variant: Variant, temporal: Temporal, cameras: int) -> dict[str, tuple[int, int, int, int]]:
    """Shape of each kind of state for N cameras, float32."""
    (height, width), (rows, columns) = variant.input_size, variant.feature_size
    shapes = {
        "reduced": (cameras, variant.neck_channels, rows, columns),
        "depth": (cameras, variant.depth_bins, rows, columns),
        "features": (cameras, variant.context_channels, rows, columns),
        "stride4": (cameras, variant.stride4_channels, height // 4, width // 4),
    }
    return {name: shapes[name] for name in state_slots(variant, temporal)}
