"""The tensors inside a network, under the names that the recorded cases give them.

The official code calls its modules once a frame and numbers the calls; ours runs all frames in one batch, which is
taken apart here. Call 0 is the key frame, but with stereo the oldest one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from occvino.networks import FlashOcc
from occvino.networks.swin import SwinBackbone


class Records:
    """What was caught, by the record's name."""

    def __init__(self, model: FlashOcc) -> None:
        self.found: dict[str, torch.Tensor] = {}
        self._frames = model.variant.lifted_frames
        self._oldest_first = model.variant.stereo is not None

    def take(self, name: str, part: str, value: torch.Tensor) -> None:
        """Record a tensor that holds all frames one after another, a record a frame: `name#call.part`."""
        frames = value.tensor_split(self._frames)
        for call, frame in enumerate(reversed(frames) if self._oldest_first else frames):
            # a copy: the next module may work in place
            self.found[f"{name}#{call}{'.' if part else ''}{part}"] = frame.clone()

    def once(self, name: str, value: torch.Tensor) -> None:
        """Record a tensor that there is one of, whatever the number of frames."""
        self.found[name] = value.clone()


@contextmanager
def caught(model: FlashOcc) -> Iterator[Records]:
    """Records what goes through the network while the context is open."""
    records = Records(model)
    handles = [*_image_hooks(model, records), *_depth_hooks(model, records), *_bev_hooks(model, records)]
    yield records
    for handle in handles:
        handle.remove()


def _image_hooks(model: FlashOcc, records: Records) -> Iterator[Any]:
    backbone, variant = model.img_backbone, model.variant
    if variant.stereo:
        stage = backbone.stages[0].blocks if isinstance(backbone, SwinBackbone) else backbone.layer1

        def lifted(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            output = output[: len(output) // variant.frames * variant.lifted_frames]
            records.take("img_backbone", "0", _channels_second(output, backbone))

        yield stage.register_forward_hook(lifted)
    first = 1 if variant.stereo else 0
    stages = (
        (backbone.norm2, backbone.norm3) if isinstance(backbone, SwinBackbone) else (backbone.layer3, backbone.layer4)
    )
    for part, stage in enumerate(stages, start=first):
        yield stage.register_forward_hook(
            lambda _m, _i, output, part=part: records.take(
                "img_backbone", str(part), _channels_second(output, backbone)
            )
        )
    part = "" if isinstance(backbone, SwinBackbone) else "0"  # one neck gives a tensor there, the other a list
    yield model.img_neck.register_forward_hook(lambda _m, _i, output: records.take("img_neck", part, output))


def _channels_second(value: torch.Tensor, backbone: Any) -> torch.Tensor:
    return value.permute(0, 3, 1, 2).contiguous() if isinstance(backbone, SwinBackbone) else value


def _depth_hooks(model: FlashOcc, records: Records) -> Iterator[Any]:
    net = model.img_view_transformer.depth_net
    yield net.register_forward_hook(lambda _m, _i, output: records.take("depth_net", "", output))
    if not model.variant.depth_net:
        return

    def both(_module: Any, inputs: Any, output: torch.Tensor, name: str) -> None:
        vectors = name.endswith("_mlp")  # ours are images of one pixel, the official ones vectors
        given, found = (value.flatten(1) if vectors else value for value in (inputs[0], output))
        records.take(name, "", found)
        records.take(f"{name}.in", "", given)
        for call in range(model.variant.lifted_frames):  # the official recorder writes NAME#CALL.in
            records.found[f"{name}#{call}.in"] = records.found.pop(f"{name}.in#{call}")

    names = {"bn": "depth_net.bn", "reduce_conv": "depth_net.reduce_conv"}
    names |= {"context_mlp": "depth_net.context_mlp", "depth_mlp": "depth_net.depth_mlp"}
    names |= {"cost_volumn_net": "cost_volumn_net"} if model.variant.stereo else {}
    for module, name in names.items():
        yield net.get_submodule(module).register_forward_hook(
            lambda m, inputs, output, name=name: both(m, inputs, output, name)
        )


def _bev_hooks(model: FlashOcc, records: Records) -> Iterator[Any]:
    if model.variant.past_frames:
        yield model.pre_process_net.register_forward_hook(
            lambda _m, _i, output: records.take("pre_process_net", "0", output[0])
        )

    def encoder(_module: Any, inputs: Any, output: tuple[torch.Tensor, ...]) -> None:
        records.once("img_bev_encoder_backbone#0.in", inputs[0])
        for part, level in enumerate(output):
            records.once(f"img_bev_encoder_backbone#0.{part}", level)

    yield model.img_bev_encoder_backbone.register_forward_hook(encoder)
    for record in ("img_bev_encoder_neck", "occ_head.final_conv", "occ_head"):
        yield model.get_submodule(record).register_forward_hook(
            lambda _m, _i, output, record=record: records.once(f"{record}#0", output)
        )
