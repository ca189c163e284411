"""torch -> ONNX, with the pooling node spelt out as a function of standard operators."""

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from occvino.bev_pool import onnx_function
from occvino.lift import PoolingPlan
from occvino.networks import FlashOcc
from occvino.networks.flashocc import TAPS, normalise

OPSET = 18
PLAN_INPUTS = ("ranks_depth", "ranks_feat", "interval_starts")


class Deployable(nn.Module):
    """A network as it is shipped: u8 pictures and a plan in, every tap and u8 labels out."""

    def __init__(self, model: FlashOcc) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, images: Tensor, ranks_depth: Tensor, ranks_feat: Tensor, interval_starts: Tensor
    ) -> tuple[Tensor, ...]:
        """Pictures u8 [N, H, W, 3] RGB and a plan -> the taps, then labels u8 [Dx, Dy, Dz]."""
        taps = self.model.taps(normalise(images), ranks_depth, ranks_feat, interval_starts)
        return (*taps.values(), taps["logits"].argmax(dim=-1).to(torch.uint8))


class Baked(nn.Module):
    """A network whose calibration is a constant."""

    def __init__(self, model: FlashOcc, plan: PoolingPlan) -> None:
        super().__init__()
        self.deployable = Deployable(model)
        for name, array in plan.inputs().items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pictures u8 [N, H, W, 3] RGB -> the taps, then labels u8 [Dx, Dy, Dz]."""
        return self.deployable(images, self.ranks_depth, self.ranks_feat, self.interval_starts)


def export_onnx(
    model: FlashOcc, path: Path, *, cameras: int, outputs: Sequence[str] = (), baked: PoolingPlan | None = None
) -> None:
    """Write the network as one ONNX file that stock ONNX Runtime runs.

    Every tap keeps its name inside the file, so that `expose` can make it an output later.

    Args:
        model: with its weights.
        path: of the file to write.
        cameras: N; shapes are static.
        outputs: taps to give besides the labels.
        baked: a plan to make a constant; the plan is an input when left out.
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
            output_names=[*TAPS, "labels"],
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
    """Tensors of the right shapes: black pictures, and a plan in which every cell sums nothing."""
    variant = model.variant
    entries, cells = variant.plan_entries(cameras), variant.lift_grid.cells
    arrays = [
        torch.zeros(cameras, *variant.input_size, 3, dtype=torch.uint8),
        torch.full((entries,), variant.points(cameras), dtype=torch.int32),
        torch.full((entries,), variant.points(cameras) // variant.depth_bins, dtype=torch.int32),
        torch.arange(cells, dtype=torch.int32),
    ]
    return dict(zip(("images", *PLAN_INPUTS), arrays, strict=True))


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
