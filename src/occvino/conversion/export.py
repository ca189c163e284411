"""torch -> ONNX, with the pooling node spelt out as a function of standard operators."""

import logging
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from occvino.bev_pool import onnx_function
from occvino.geometry import input_names
from occvino.networks import FlashOcc
from occvino.networks.depth_net import CAMERA_VALUES
from occvino.networks.flashocc import normalise, tap_names

OPSET = 18


class Deployable(nn.Module):
    """A network as it is shipped: u8 pictures and geometry in, every tap and u8 labels out."""

    def __init__(self, model: FlashOcc) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, *geometry: Tensor) -> tuple[Tensor, ...]:
        """Pictures u8 [B, H, W, 3] RGB and `geometry.network_inputs` -> the taps, then labels u8 [Dx, Dy, Dz]."""
        taps = self.model.taps(normalise(images), *geometry)
        return (*taps.values(), taps["logits"].argmax(dim=-1).to(torch.uint8))


class Baked(nn.Module):
    """A network whose calibration is a constant."""

    def __init__(self, model: FlashOcc, geometry: Mapping[str, NDArray[np.generic]]) -> None:
        super().__init__()
        self.deployable = Deployable(model)
        self.names = tuple(geometry)
        for name, array in geometry.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pictures u8 [B, H, W, 3] RGB -> the taps, then labels u8 [Dx, Dy, Dz]."""
        return self.deployable(images, *(self.get_buffer(name) for name in self.names))


def export_onnx(
    model: FlashOcc,
    path: Path,
    *,
    cameras: int,
    outputs: Sequence[str] = (),
    baked: Mapping[str, NDArray[np.generic]] | None = None,
) -> None:
    """Write the network as one ONNX file that stock ONNX Runtime runs.

    Every tap keeps its name inside the file, so that `expose` can make it an output later.

    Args:
        model: with its weights.
        path: of the file to write.
        cameras: N, of one frame; shapes are static.
        outputs: taps to give besides the labels.
        baked: `geometry.network_inputs` to make constants; they are inputs when left out.
    """
    example = example_inputs(model, cameras)
    module = Baked(model, baked) if baked else Deployable(model)
    arguments = example if baked is None else {"images": example["images"]}
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(arguments.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(arguments),
            output_names=[*tap_names(model.variant), "labels"],
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    proto = program.model_proto
    proto.functions.append(onnx_function())
    _keep_outputs(proto, ("labels", *outputs))
    del proto.metadata_props[:]  # they hold paths of the exporting machine
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def example_inputs(model: FlashOcc, cameras: int) -> dict[str, Tensor]:
    """Tensors of the right shapes for N cameras: black pictures, and a plan in which every cell sums nothing."""
    variant = model.variant
    points, entries = variant.points(cameras), variant.plan_entries(cameras)
    lifted = cameras * variant.lifted_frames
    shapes = {
        "images": torch.zeros(cameras * variant.frames, *variant.input_size, 3, dtype=torch.uint8),
        "ranks_depth": torch.full((entries,), points, dtype=torch.int32),
        "ranks_feat": torch.full((entries,), points // variant.depth_bins, dtype=torch.int32),
        "interval_starts": torch.arange(variant.plan_cells(), dtype=torch.int32),
        "cameras": torch.zeros(lifted, CAMERA_VALUES),
        "warps": torch.eye(3, 4).expand(lifted, 3, 4).contiguous(),
    }
    return {name: shapes[name] for name in input_names(variant)}


def expose(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    """Make named tensors of the file outputs, in place; those that are outputs already stay."""
    present = {output.name for output in proto.graph.output}
    known = {info.name: info for info in proto.graph.value_info}
    for name in names:
        if name not in present:
            proto.graph.output.append(known[name])


def _keep_outputs(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    by_name = {output.name: output for output in proto.graph.output}
    known = {info.name for info in proto.graph.value_info}
    proto.graph.value_info.extend(output for name, output in by_name.items() if name not in names and name not in known)
    del proto.graph.output[:]
    proto.graph.output.extend(by_name[name] for name in names)


@contextmanager
def _quiet() -> Generator[None]:
    """The exporter warns of torchvision's absence and of its own internals, which are not the reader's concern."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
