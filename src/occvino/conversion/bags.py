"""Pooling of several frames as one bag operator for each frame, where one for all would be too large for an NPU.

Intel's NPU compiler comes to no end for platform 3720 with an `EmbeddingBagOffsetsSum` of 2**22 entries or more
(docs/npu.md). Entries and cells of a plan lie frame by frame (`geometry.lift.PoolingPlan.stack`).
"""

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.opset3 import embedding_bag_offsets_sum

from occvino.conversion.columns import BAG
from occvino.conversion.upsampled import name_made
from occvino.runtime.npu_rules import MOST_BAGGED


def cut_bags(model: ov.Model, frames: int, most: int = MOST_BAGGED) -> int:
    """Cut bags of more than `most` entries into those of their frames, in place; how many were cut.

    Args:
        model: whose bags have static shapes, and entries and cells of each frame in one piece, frame after frame.
        frames: that are pooled.
        most: entries that one bag may have.
    """
    if frames == 1:
        return 0
    before = {node.get_friendly_name() for node in model.get_ops()}
    bags = [node for node in model.get_ops() if node.get_type_name() == BAG and node.get_input_shape(1)[0] > most]
    for bag in bags:
        made = ops.concat([_of_frame(bag, frame, frames) for frame in range(frames)], 0)
        made.set_friendly_name(bag.get_friendly_name())
        made.output(0).set_names(bag.output(0).get_names())
        bag.output(0).replace(made.output(0))
    name_made(model, before)
    return len(bags)


def _of_frame(bag: ov.Node, frame: int, frames: int) -> ov.Node:
    """The cells of one frame [cells / frames, C]: its share of the entries, and starts that count from there."""
    table, ranks, starts, nothing, weights = bag.input_values()
    entries, cells = ranks.get_shape()[0] // frames, starts.get_shape()[0] // frames
    own = ops.subtract(_piece(starts, frame, cells), ops.constant(np.array([frame * entries], np.int32)))
    return embedding_bag_offsets_sum(
        table, _piece(ranks, frame, entries), own, nothing, _piece(weights, frame, entries)
    )


def _piece(value: ov.Output, index: int, size: int) -> ov.Node:
    begin, end, step, axis = (np.array([number], np.int64) for number in (index * size, (index + 1) * size, 1, 0))
    return ops.slice(value, begin, end, step, axis)
