"""The streaming forms of a temporal network: they take one frame's images, and the state kept from past frames.

Both give the taps of `tap_names(variant, temporal)`; those that `temporal.state_slots` names are what to keep. Before
the BEV, taps are of the current frame alone, but for depth and features of the exact form. `FlashOcc.taps` is the
batch form, which the exact one equals.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from occvino.errors import FrameError
from occvino.geometry.inputs import PLAN_INPUTS, input_names
from occvino.geometry.temporal import MISSING, Temporal, past_frames_kept, state_inputs, state_shapes, state_slots
from occvino.networks.depth_net import CAMERA_VALUES, CameraDepthNet
from occvino.networks.flashocc import FlashOcc


def stream_taps(model: FlashOcc, temporal: Temporal, images: Tensor, *inputs: Tensor) -> dict[str, Tensor]:
    """Taps of one frame of a stream.

    Args:
        model: of a temporal variant.
        temporal: "exact" or "fast".
        images: [N, 3, H, W] float32, normalised, of the current frame.
        inputs: the rest of `geometry.inputs.input_names(variant, temporal)`, in order. `missing` is a bool
            [frames kept], newest first; where it is true, the state may hold anything.

    Raises:
        FrameError: the shape of a tensor does not fit the number of images.
    """
    given = dict(zip(input_names(model.variant, temporal)[1:], inputs, strict=True))
    _check(model, temporal, images, given)
    stride4 = model.img_backbone.first(images)
    stride32, neck = model.encode(stride4)
    taps = {"stride4": stride4} if model.variant.stereo else {}
    taps |= {"backbone": stride32, "neck": neck}
    form = _exact if temporal == "exact" else _fast
    return taps | form(model, stride4, neck, given)


def _exact(model: FlashOcc, stride4: Tensor, neck: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Depth and features of past frames from what was kept of their images, with the cameras of this one."""
    transformer = model.img_view_transformer
    depth_net = transformer.depth_net
    assert isinstance(depth_net, CameraDepthNet), "every temporal variant has one"
    reduced = depth_net.reduce_conv(neck)  # [N, C', fH, fW]
    everything = with_past(model, "exact", "reduced", reduced, given)  # [F*N, C', fH, fW]
    match: tuple[Tensor, ...] = ()
    if model.variant.stereo:
        seen = with_past(model, "exact", "stride4", stride4, given)  # [(F+1)*N, C4, H/4, W/4]
        lifted = len(everything)
        match = (seen[:lifted], seen[len(seen) - lifted :], given["warps"])
    depth, features = transformer.parted(depth_net.predict(everything, given["cameras"], *match))
    lifted_taps = {"reduced": reduced, "depth": depth, "features": features}
    return lifted_taps | model.perceive(depth, features, *(given[name] for name in PLAN_INPUTS))


def _fast(model: FlashOcc, stride4: Tensor, neck: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Depth and features of this frame, and those of past frames as they were computed there."""
    match: tuple[Tensor, ...] = ()
    if model.variant.stereo:
        before = with_past(model, "fast", "stride4", stride4, given)[len(stride4) :]
        match = (stride4, before, given["warps"])
    depth, features = model.img_view_transformer.lift(neck, given["cameras"], *match)  # [N, D, fH, fW], [N, C, fH, fW]
    everything = [with_past(model, "fast", *kept, given) for kept in (("depth", depth), ("features", features))]
    lifted_taps = {"depth": depth, "features": features}
    return lifted_taps | model.perceive(*everything, *(given[name] for name in PLAN_INPUTS))


def with_past(model: FlashOcc, temporal: Temporal, name: str, now: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """One kind of state of this frame and of past ones, newest first: [(1 + slots) * N, ...].

    This frame stands in for missing ones, as in the official loader.
    """
    slots = state_slots(model.variant, temporal)[name]
    past = [torch.where(given[MISSING][age - 1], now, given[f"{name}_{age}"]) for age in range(1, slots + 1)]
    return torch.cat([now, *past])


def _check(model: FlashOcc, temporal: Temporal, images: Tensor, given: Mapping[str, Tensor]) -> None:
    variant, cameras = model.variant, len(images)
    asked = cameras if temporal == "fast" else cameras * variant.lifted_frames
    shapes = state_shapes(variant, temporal, cameras)
    expected: dict[str, Sequence[int]] = {
        "ranks_depth": (variant.plan_entries(cameras),),
        "ranks_feat": (variant.plan_entries(cameras),),
        "interval_starts": (variant.plan_cells(),),
        "cameras": (asked, CAMERA_VALUES),
        "warps": (asked, 3, 4),
        MISSING: (past_frames_kept(variant, temporal),),
        **{name: shapes[kind] for name, (kind, _) in state_inputs(variant, temporal).items()},
    }
    for name, tensor in given.items():
        if tuple(tensor.shape) != tuple(expected[name]):
            raise FrameError(
                f"{name} has shape {list(tensor.shape)}, expected {list(expected[name])} for {cameras} cameras in one "
                f"frame of {variant.name} ({temporal}): give the images of the current frame alone"
            )
