"""Put the column form of pooling (`bev_pool_columns`) in the place of the bag of an IR."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.bev_pool_columns import bev_pool_columns_openvino
from occvino.conversion.rewrite import read_to_change, write_ir
from occvino.errors import OccvinoError
from occvino.geometry.columns import COLUMN_INPUTS, ColumnSizes, sizes_needed
from occvino.geometry.inputs import PLAN_INPUTS, Geometry
from occvino.geometry.rig import Rig
from occvino.synth.rig import make_rig
from occvino.variant import Variant

BAG = "EmbeddingBagOffsetsSum"
Pooling: TypeAlias = Literal["bag", "columns"]


def column_sizes(
    pooling: str | None, variant: Variant, rig: Rig | None, cameras: tuple[str, ...], *, npu: bool
) -> ColumnSizes | None:
    """How many places the column form is to have for a rig and for others of its make; None for a bag.

    Args:
        pooling: as asked for; None for columns on NPUs, where the grid is flat, and bags else.
        variant: whose network it is.
        rig: that is to fit; six cameras as in nuScenes when left out. Past frames are taken as if it stood still.
        cameras: names of the network's cameras.
        npu: whether the IR is for an NPU.

    Raises:
        OccvinoError: there is no such pooling, or no rig for other cameras than the variant's own.
    """
    if pooling is None:
        pooling = "columns" if npu and not variant.volumetric else "bag"
    if pooling not in get_args(Pooling):
        raise OccvinoError(f"pooling {pooling!r}: expected one of {', '.join(get_args(Pooling))}")
    if pooling == "bag":
        return None
    if rig is None and cameras != variant.camera_names:
        raise OccvinoError("pooling by columns is sized for a rig, and these are not nuScenes' cameras: give the rig")
    rig = rig or usual_rig().select(cameras)
    return sizes_needed(Geometry.of_rigs([rig] * variant.frames, variant).inputs, variant).with_margin()


def usual_rig() -> Rig:
    """Six cameras placed as on the vehicles of nuScenes."""
    mounts = make_rig(np.random.default_rng(0), 1600).mounts
    return Rig(tuple(mount.camera(np.eye(4)) for mount in mounts))


def take_columns(
    xml_path: Path, sizes: ColumnSizes, frames: int, baked: Mapping[str, NDArray[np.generic]] | None = None
) -> None:
    """Make the IR in a file pool in the column form; the file is replaced.

    Args:
        xml_path: of the IR, whose bag takes its plan as inputs, or as constants.
        sizes: of the plans that it takes.
        frames: that it lifts.
        baked: the arrays of one plan, to be constants; they are inputs when left out.

    Raises:
        OccvinoError: the IR does not pool as those of `convert` do.
    """
    model = read_to_change(xml_path)
    for bag in [node for node in model.get_ops() if node.get_type_name() == BAG]:
        _replace(model, bag, sizes, frames, baked)
    write_ir(model, xml_path)


def _replace(
    model: ov.Model, bag: ov.Node, sizes: ColumnSizes, frames: int, baked: Mapping[str, NDArray[np.generic]] | None
) -> None:
    """One bag. Its table is features and a row of zeros; its weights are gathered from probabilities and a zero."""
    feat = before_the_zero(bag.input_value(0))
    depth = before_the_zero(bag.input_value(4).get_node().input_value(0))
    if len(feat.get_shape()) != 4 or len(depth.get_shape()) != 4:
        raise OccvinoError(f"{bag.get_friendly_name()} does not pool as the IRs of `occvino convert` do")
    (n, bins, rows, width), cells = depth.get_shape(), bag.get_output_shape(0)[0]
    shapes = {
        "column_mask": ([n * width, bins * sizes.pieces, rows], np.float16),
        "pair_pieces": ([frames * 2 * sizes.pairs], np.int32),
        "crowd_pairs": ([frames * sizes.crowded * sizes.crowd], np.int32),
        "cell_source": ([cells], np.int32),
    }
    if baked:
        plan = [ov.opset8.constant(np.array(baked[name])) for name in COLUMN_INPUTS]
    else:
        plan = [ov.opset8.parameter(shape, kind, name=name) for name, (shape, kind) in shapes.items()]
        for parameter in plan:
            parameter.output(0).set_names({parameter.get_friendly_name()})
    bev = bev_pool_columns_openvino(depth, feat, *(each.output(0) for each in plan), crowd=sizes.crowd, frames=frames)
    bev.get_node().set_friendly_name(bag.get_friendly_name())
    bev.set_names(bag.output(0).get_names())
    bag.output(0).replace(bev)
    for parameter in model.get_parameters():
        if parameter.get_friendly_name() in PLAN_INPUTS:
            model.remove_parameter(parameter)
    if not baked:
        model.add_parameters(plan)
    model.validate_nodes_and_infer_types()


def before_the_zero(joined: ov.Output) -> ov.Output:
    """What was flattened and joined with zeros; where a stream joins frames, those together."""
    value: Any = joined
    while (node := value.get_node()).get_type_name() in ("Concat", "Reshape", "Convert"):
        if node.get_type_name() == "Concat" and node.input_value(1).get_node().get_type_name() != "Constant":
            break
        value = node.input_value(0)
    return value
