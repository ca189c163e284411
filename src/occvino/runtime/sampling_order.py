"""The order in which a GPU computes the cost volume of stereo: one depth after the other.

The GPU plugin runs layers in the order of their distance from the inputs, and lets two share memory only if one needs
the other. The depths of a cost volume do not need each other, so that all are sampled before the first is summed up:
12 GB for flashocc-r50-4d-stereo, 29 GB for the Swin models (docs/gpu.md). Here each is made to need the one before.
"""

from itertools import groupby, pairwise

import numpy as np
import openvino as ov
from openvino import opset8

_STEPS = 16
"""Operators of one depth at most, from its sampling to the concat of all depths."""
_Depth = tuple[ov.Node, ov.Node, ov.Node]
"""The sampling of one depth, what comes of it, smaller by far, and the concat of all depths."""


def in_turn(model: ov.Model) -> ov.Model:
    """The same numbers, depth after depth; the model itself where it has no cost volume. It stays as it is."""
    if sum(op.get_type_name() == "GridSample" for op in model.get_ops()) < 2:
        return model
    made = model.clone()
    found = [depth for op in made.get_ordered_ops() if (depth := _depth(op))]
    for _, volume in groupby(found, key=lambda depth: depth[2].get_friendly_name()):
        depths = list(volume)
        if _independent([sampled for sampled, _, _ in depths]):
            for (_, cost, _), (sampled, _, _) in pairwise(depths):
                _after(sampled, cost)
    made.validate_nodes_and_infer_types()
    return made


def _depth(op: ov.Node) -> _Depth | None:
    """A sampling all of whose readers come together in one input of a concat, by way of a sum."""
    if op.get_type_name() != "GridSample":
        return None
    seen, left, ends = dict[str, ov.Node](), [op], dict[str, tuple[ov.Node, ov.Node]]()
    while left and len(seen) <= _STEPS:
        node = left.pop()
        seen[node.get_friendly_name()] = node
        for reader in (each.get_node() for value in node.outputs() for each in value.get_target_inputs()):
            if reader.get_type_name() == "Concat":
                ends[node.get_friendly_name()] = node, reader
            else:
                left.append(reader)
    summed = any(node.get_type_name().startswith("Reduce") for node in seen.values())
    return (op, *next(iter(ends.values()))) if not left and summed and len(ends) == 1 else None


def _independent(samplings: list[ov.Node]) -> bool:
    """Whether no depth is sampled by what another one gave: else there would be a ring."""
    sampled, seen = {op.get_friendly_name() for op in samplings}, set[str]()
    left = [value.get_node() for op in samplings for value in op.input_values()]
    while left:
        op = left.pop()
        if (name := op.get_friendly_name()) in sampled:
            return False
        if name not in seen:
            seen.add(name)
            left += [value.get_node() for value in op.input_values()]
    return True


def _after(sampled: ov.Node, cost: ov.Node) -> None:
    """Add to the sampling grid whether a cost is below minus infinity: zero, which the plugin does not see.

    A comparison, since through arithmetic OpenVINO hands its marks of fp32 from the grid to all of the costs.
    """
    rank, kind = len(cost.get_output_partial_shape(0)), cost.get_output_element_type(0)
    first = opset8.slice(cost, [0] * rank, [1] * rank, [1] * rank)  # pyright: ignore[reportArgumentType]
    below = opset8.less(opset8.reshape(first, [1] * 4, special_zero=False), opset8.constant(-np.inf, kind))
    grid = sampled.input_value(1)
    zero = opset8.convert(below, grid.get_element_type().get_type_name())
    sampled.input(1).replace_source_output(opset8.add(grid, zero).output(0))
