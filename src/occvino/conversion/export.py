"""torch -> ONNX, with the pooling node spelt out as a function of standard operators."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import opset18
from torch import Tensor, nn

from occvino.bev_pool import onnx_function
from occvino.conversion.quiet import quiet
from occvino.geometry.inputs import input_names
from occvino.geometry.temporal import MISSING, Temporal, past_frames_kept, state_inputs, state_shapes, state_slots
from occvino.networks import FlashOcc
from occvino.networks.depth_net import CAMERA_VALUES
from occvino.networks.flashocc import normalise, tap_names
from occvino.networks.streaming import stream_taps

OPSET = 18


class Deployable(nn.Module):
    """A network as it is shipped: u8 images and geometry in, every tap and u8 labels out."""

    def __init__(self, model: FlashOcc, temporal: Temporal = "batch") -> None:
        super().__init__()
        self.model = model
        self.temporal: Temporal = temporal

    def forward(self, images: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Images u8 [B, H, W, 3] RGB, the rest of `input_names(variant)` -> the taps, then labels u8 [Dx, Dy, Dz]."""
        if self.temporal == "batch":
            taps = self.model.taps(normalise(images), *inputs)
        else:
            taps = stream_taps(self.model, self.temporal, normalise(images), *inputs)
        return (*taps.values(), self.model.occ_head.labels(taps["scores"]))


class Baked(nn.Module):
    """A network whose calibration is a constant."""

    def __init__(self, model: FlashOcc, geometry: Mapping[str, NDArray[np.generic]]) -> None:
        super().__init__()
        self.deployable = Deployable(model)
        self.names = tuple(geometry)
        for name, array in geometry.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images u8 [B, H, W, 3] RGB -> the taps, then labels u8 [Dx, Dy, Dz]."""
        return self.deployable(images, *(self.get_buffer(name) for name in self.names))


def export_onnx(
    model: FlashOcc,
    path: Path,
    *,
    cameras: int,
    outputs: Sequence[str] = (),
    temporal: Temporal = "batch",
    baked: Mapping[str, NDArray[np.generic]] | None = None,
) -> None:
    """Write the network as one ONNX file that stock ONNX Runtime runs.

    Every tap keeps its name inside the file, so that `expose` can make it an output later.

    Args:
        model: with its weights.
        path: of the file to write.
        cameras: N, of one frame; shapes are static.
        outputs: taps to give besides the labels.
        temporal: the form of a temporal model; a stream gives what it keeps as further outputs.
        baked: `Geometry.inputs` to make constants; they are inputs when left out.
    """
    example = example_inputs(model, cameras, temporal)
    module = Baked(model, baked) if baked else Deployable(model, temporal)
    arguments = example if baked is None else {"images": example["images"]}
    with quiet("torch.onnx"), warnings.catch_warnings():  # of torchvision's absence and of the exporter's own internals
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            tuple(arguments.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(arguments),
            output_names=[*tap_names(model.variant, temporal), "labels"],
            external_data=False,
            custom_translation_table={torch.ops.aten.softplus.default: _softplus},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    proto = program.model_proto
    proto.functions.append(onnx_function())
    _keep_outputs(proto, tuple(dict.fromkeys(("labels", *outputs, *state_slots(model.variant, temporal)))))
    del proto.metadata_props[:]  # they hold paths of the exporting machine
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def example_inputs(model: FlashOcc, cameras: int, temporal: Temporal = "batch") -> dict[str, Tensor]:
    """Tensors of the right shapes for N cameras: black images, a plan whose cells all sum nothing, no past frames."""
    variant = model.variant
    points, entries = variant.points(cameras), variant.plan_entries(cameras)
    seen = cameras * (variant.frames if temporal == "batch" else 1)
    asked = cameras * (1 if temporal == "fast" else variant.lifted_frames)
    shapes = {
        "images": torch.zeros(seen, *variant.input_size, 3, dtype=torch.uint8),
        "ranks_depth": torch.full((entries,), points, dtype=torch.int32),
        "ranks_feat": torch.full((entries,), points // variant.depth_bins, dtype=torch.int32),
        "interval_starts": torch.arange(variant.plan_cells(), dtype=torch.int32),
        "cameras": torch.zeros(asked, CAMERA_VALUES),
        "warps": torch.eye(3, 4).expand(asked, 3, 4).contiguous(),
        MISSING: torch.ones(past_frames_kept(variant, temporal), dtype=torch.bool),
    }
    kept = state_shapes(variant, temporal, cameras)
    shapes |= {name: torch.zeros(kept[kind]) for name, (kind, _) in state_inputs(variant, temporal).items()}
    return {name: shapes[name] for name in input_names(variant, temporal)}


def expose(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    """Make named tensors of the file outputs, in place; those that are outputs already stay."""
    present = {output.name for output in proto.graph.output}
    known = {info.name: info for info in proto.graph.value_info}
    for name in names:
        if name not in present:
            proto.graph.output.append(known[name])


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """The operator alone. The exporter's own adds a Select of x above the threshold, where fp32 knows no difference."""
    if beta != 1.0 or threshold < 20.0:
        raise ValueError(f"softplus with beta {beta}, threshold {threshold}: only those of nn.Softplus() are exported")
    return opset18.Softplus(x)


def _keep_outputs(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    by_name = {output.name: output for output in proto.graph.output}
    known = {info.name for info in proto.graph.value_info}
    proto.graph.value_info.extend(output for name, output in by_name.items() if name not in names and name not in known)
    del proto.graph.output[:]
    proto.graph.output.extend(by_name[name] for name in names)
