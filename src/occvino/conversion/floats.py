"""What must not be quantised in a FlashOcc IR, and why. Found by following the graph, not by name.

NNCF knows nothing of what the tensors mean. It leaves the pooling bags and softmaxes in floating point by itself and
would quantise all that is listed here. What it costs to let it is in docs/int8.md.
"""

from collections.abc import Iterable, Iterator

import openvino as ov

from occvino.conversion.macs import KINDS, upstream
from occvino.conversion.upsampled import constant, is_bilinear
from occvino.runtime.calibration import calibration_nodes

GEOMETRY = "computes with calibration: focal lengths of 1,000 beside rotations of 1 in one tensor"
MATCHING = "matches two frames: adds a cost where a feature is exactly 0, and 8 bits make more zeros"
POOLED = "reads the pooled sums: cells near the vehicle add up hundreds of rays, those far away one"
UPSAMPLING = "upsamples: 8 bits would round the weights of linear interpolation"
POOLED_SUM = "adds to what was computed from the pooled sums, whose range is as wide"
FIRST_STAGE = "reads what the first stage behind the pool adds up, which keeps the range of the pooled sums"

_STOPS = frozenset(KINDS)


def kept_float(model: ov.Model) -> dict[str, str]:
    """Names of operators that are to stay in floating point, each with the reason.

    Args:
        model: an IR of `convert`, not quantised yet, that takes `images`.
    """
    reasons: dict[str, str] = {}
    for reason, found in (
        (GEOMETRY, calibration_nodes(model)),
        (MATCHING, _matching(model)),
        (POOLED, _readers_of_the_pool(model)),
        (POOLED_SUM, _sums_behind_the_pool(model)),
        (FIRST_STAGE, _first_stage(model)),
        (UPSAMPLING, _upsampling(model)),
    ):
        for op in found:
            if op.get_type_name() not in ("Constant", "Parameter", "Result"):
                reasons.setdefault(op.get_friendly_name(), reason)
    return reasons


def geometry_constants(model: ov.Model) -> set[str]:
    """Names of the constants that computing with calibration alone takes: pixels, depths, weights of its layers.

    In half precision a pixel coordinate of 700 is off by up to 0.25.
    """
    taken = upstream(calibration_nodes(model))
    return {name for name, op in taken.items() if op.get_type_name() == "Constant"}


def _interpolating(model: ov.Model) -> Iterator[tuple[ov.Node, ov.Node]]:
    """What upsamples linearly by weights, and these.

    Products whose weights are on the left, which mix pixels and not channels (see `conversion.upsampled`), and 1x1
    convolutions with an axis as channels (`conversion.trilinear`).
    """
    for op in model.get_ops():
        if op.get_type_name() == "MatMul" and op.input_value(0).get_node().get_type_name() == "Constant":
            yield op, op.input_value(0).get_node()
        elif op.get_type_name() == "Convolution" and op.input_value(1).get_node().get_type_name() == "Constant":
            weights = op.input_value(1)
            if list(weights.get_shape())[2:] == [1, 1] and is_bilinear(constant(weights)[:, :, 0, 0]):
                yield op, weights.get_node()


def _upsampling(model: ov.Model) -> Iterator[ov.Node]:
    """Those, and the sums that they are part of: for a product that gives 8 bits GPUs have no matrix instructions.

    Not those of the form for NPUs, a single product of rank 2, where it takes longer (docs/npu.md).
    """
    for op, _ in _interpolating(model):
        yield op
        if op.get_type_name() == "MatMul" and len(op.get_output_shape(0)) > 2:
            yield from _sums_of(op)


def _sums_of(op: ov.Node) -> Iterator[ov.Node]:
    for target in op.output(0).get_target_inputs():
        reader = target.get_node()
        if reader.get_type_name() in ("Transpose", "Reshape"):
            yield from _sums_of(reader)
        elif reader.get_type_name() == "Add":
            yield reader


def bilinear_constants(model: ov.Model) -> set[str]:
    """Names of the constants that linear upsampling takes."""
    return {weights.get_friendly_name() for _, weights in _interpolating(model)}


def _matching(model: ov.Model) -> Iterable[ov.Node]:
    """From sampling the previous frame's features to the cost of every depth."""
    return downstream([op for op in model.get_ops() if op.get_type_name() == "GridSample"], stop=_STOPS)


def _readers_of_the_pool(model: ov.Model) -> Iterator[ov.Node]:
    for op in downstream(_pools(model), stop=_STOPS, with_stops=True):
        if op.get_type_name() in KINDS:
            yield op


def _sums_behind_the_pool(model: ov.Model) -> Iterator[ov.Node]:
    """The shortcuts of the first stage behind the pool: sums of two computed values in the size of its output."""
    shapes = [tuple(op.get_output_shape(0)) for op in _readers_of_the_pool(model) if op not in _pools(model)]
    for op in downstream(_pools(model)):
        computed = [value.get_node().get_type_name() != "Constant" for value in op.input_values()]
        if op.get_type_name() == "Add" and all(computed) and tuple(op.get_output_shape(0)) in shapes:
            yield op


def _first_stage(model: ov.Model) -> Iterator[ov.Node]:
    """Convolutions that read the residual stream of a BEV's first stage: in that stage, and those that make it coarser.

    The neck reads it too, and may do so in 8 bits (docs/int8.md). A grid of voxels keeps the readers of the pool and
    the sums alone: nothing was measured there, and a first stage of voxels is a large part of all the work.
    """
    waiting = [op for op in _readers_of_the_pool(model) if op not in _pools(model)]
    shapes = {tuple(op.get_output_shape(0)) for op in waiting if len(op.get_output_shape(0)) == 4}
    seen: set[str] = set()
    while waiting:
        for target in waiting.pop().output(0).get_target_inputs():
            reader = target.get_node()
            if reader.get_friendly_name() in seen or reader.get_type_name() == "Result":
                continue
            seen.add(reader.get_friendly_name())
            shape = tuple(reader.get_output_shape(0))
            if reader.get_type_name() not in KINDS:
                waiting += [reader] * (shape in shapes)
            elif shape in shapes or any(len(shape) == 4 and shape[2:] < stage[2:] for stage in shapes):
                yield reader


def _pools(model: ov.Model) -> list[ov.Node]:
    return [op for op in model.get_ops() if op.get_type_name() == "EmbeddingBagOffsetsSum"]


def downstream(sources: Iterable[ov.Node], stop: Iterable[str] = (), *, with_stops: bool = False) -> list[ov.Node]:
    """Operators that are computed from some, and those themselves, each once.

    Args:
        sources: where to begin.
        stop: kinds of operators behind which it does not go on.
        with_stops: whether those are given too.
    """
    stop = set(stop)
    found: dict[str, ov.Node] = {}
    waiting = [(op, True) for op in sources]
    while waiting:
        op, first = waiting.pop()
        stopped = not first and op.get_type_name() in stop
        if op.get_friendly_name() in found or (stopped and not with_stops):
            continue
        found[op.get_friendly_name()] = op
        if not stopped:
            waiting += [(target.get_node(), False) for out in op.outputs() for target in out.get_target_inputs()]
    return list(found.values())
