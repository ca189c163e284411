"""The models that an NPU runs a network as.

Whatever is computed for each image, or each frame, apart from the others is a model of one, run once for each: several
at a time do not fit the memory of the NPU, travel there and back, and take the compiler long (docs/npu.md).
"""

from collections.abc import Mapping

import numpy as np
import openvino as ov

from occvino.bev_pool_columns import OFFSETS, one_frame
from occvino.geometry.columns import COLUMN_INPUTS
from occvino.runtime.calibration import CALIBRATION, cut_calibration
from occvino.runtime.split import split

LIFTED: tuple[str, ...] = ("depth", "features")
"""The taps that pooling takes."""
JOIN, JOINED = "join", "joined/"
"""The stage that joins what a stream keeps with that of this frame, and how the names of what it gives begin."""
POOL = "pool"
"""The stage that pools, where that is one bag for each frame."""
FRAME, FRAMED = "frame", "framed"
"""The stage that pools one frame and goes on with it alone, and the name of what it gives."""
_FRAMEWISE = {"Convolution", "Add", "Relu", "Multiply", "Convert", "FakeQuantize"}
"""What treats the first size of an array as a batch, with weights that are the same for all of it."""


def npu_parts(model: ov.Model) -> dict[str, tuple[ov.Model, int]]:
    """The models that an NPU runs a network as, by the names of their stages, and how often a frame takes each.

    What computes with calibration alone comes first, if there is any: it runs on the CPU. The encoder takes one image,
    where the network computes each image apart from the others. In a stream that computes depth for past images anew
    ("exact"), the encoder ends at what is kept; that is joined with what was kept, on the CPU, and depth is computed
    image by image as well. Where several frames are pooled by columns, that is done frame by frame. Where each has a
    bag (`conversion.bags`), pooling is apart from the rest: together they compile to no end for platform 3720.
    """
    cut = cut_calibration(model)
    model = cut[1] if cut else model.clone()
    frames = _frames(model)
    parts = {name: (part, 1) for name, part in split(model, _cuts(model, frames)).items()}
    for name in ("encoder", "lift"):
        if name in parts and (one := of_one_image(parts[name][0])):
            parts[name] = one, parts[name][0].input(0).get_shape()[0]
    if FRAME in parts and (one := _of_one_frame(parts[FRAME][0], frames)):
        parts[FRAME] = one, frames
    return {CALIBRATION: (cut[0], 1), **parts} if cut else parts


def _cuts(model: ov.Model, frames: int) -> Mapping[str, tuple[str, ...]]:
    """Where to cut; names what joins present and past, and what each frame gives."""
    outputs = {value.get_any_name() for value in model.outputs}
    by_frame = {FRAME: (FRAMED,)} if frames > 1 and _name_framed(model) else {}
    exact = "reduced" in outputs
    kept: set[str] = outputs & {"reduced", "stride4"} if exact else set(LIFTED)
    cuts: dict[str, tuple[str, ...]] = {"encoder": tuple(sorted(kept))}
    if (exact or by_frame) and kept <= outputs and (joined := _joined(model, kept)):
        cuts[JOIN] = joined
    if exact:
        cuts["lift"] = LIFTED
    pools = sum(op.get_type_name() == "EmbeddingBagOffsetsSum" for op in model.get_ops())
    return {**cuts, **by_frame, **({POOL: ("bev",)} if pools > 1 else {}), "rest": ()}


def _joined(model: ov.Model, kept: set[str]) -> tuple[str, ...]:
    """What the stage that joins gives, which gets names here; nothing where images meet in another way.

    With stereo features of stride 4 too: those of the frames to be lifted, and of the frame before each.
    """
    given = list[ov.Output]()
    for name in sorted(kept):
        concats = [
            op for op in model.get_ops() if op.get_type_name() == "Concat" and name in _unrounded(op.input_value(0))
        ]
        if len(concats) != 1:
            return ()
        together = concats[0].output(0)
        readers = [each.get_node() for each in together.get_target_inputs()]
        by_frames = name != "reduced" and all(each.get_type_name() == "Slice" for each in readers)
        given += [each.output(0) for each in readers] if by_frames else [together]
    for number, value in enumerate(given):
        value.set_names({f"{JOINED}{number}"})
    return tuple(value.get_any_name() for value in given)


def _unrounded(value: ov.Output) -> set[str]:
    """The names of a value, or of what it rounds to 8 bits."""
    node = value.get_node()
    return _unrounded(node.input_value(0)) if node.get_type_name() == "FakeQuantize" else value.get_names()


def _frames(model: ov.Model) -> int:
    """How many frames are pooled by columns; 1 where none are."""
    offsets = (op for op in model.get_ops() if op.get_friendly_name().startswith(OFFSETS))
    return next((op.get_output_shape(0)[0] for op in offsets), 1)


def _name_framed(model: ov.Model) -> bool:
    """Name what is computed from the pooled frames, each alone; False where that is nothing, or several arrays."""
    (bev,) = (value for op in model.get_ops() for value in op.outputs() if "bev" in value.get_names())
    reached, last = {bev.get_node().get_friendly_name()}, dict[str, ov.Output]()
    for op in model.get_ordered_ops():
        sources = [value for value in op.input_values() if value.get_node().get_friendly_name() in reached]
        if sources and op.get_type_name() in _FRAMEWISE:
            reached.add(op.get_friendly_name())
        else:
            last |= {value.get_node().get_friendly_name(): value for value in sources}
    if len(last) != 1:
        return False
    (framed,) = last.values()
    framed.set_names(framed.get_names() | {FRAMED})
    return True


def _of_one_frame(model: ov.Model, frames: int) -> ov.Model | None:
    """The same for the newest frame alone; None where it takes anything that frames share."""
    names = {value.get_any_name() for value in model.inputs}
    if any(name not in (*LIFTED, *COLUMN_INPUTS) and not name.startswith(JOINED) for name in names):
        return None
    model = model.clone()
    one_frame(model)
    return _first_of(model, frames)


def of_one_image(model: ov.Model) -> ov.Model | None:
    """The same for the first image alone; None if the images of a batch meet, or something says how many there are."""
    batches = {value.get_shape()[0] if len(value.get_shape()) else 0 for value in (*model.inputs, *model.outputs)}
    return None if len(batches) > 1 else _first_of(model, batches.pop())


def _first_of(model: ov.Model, count: int) -> ov.Model | None:
    """The same for the first of so many, whose arrays follow one another in each input and output."""
    sizes = [value.get_shape()[0] if len(value.get_shape()) else 0 for value in (*model.inputs, *model.outputs)]
    if count < 2 or any(size % count or not size for size in sizes):
        return None
    for change in (_untouched, _infer_first_sizes):
        one = model.clone()
        change(one)
        shapes = {value.get_any_name(): [value.get_shape()[0] // count, *value.get_shape()[1:]] for value in one.inputs}
        try:
            one.reshape(shapes)
        except RuntimeError:
            continue
        pairs = zip(one.outputs, model.outputs, strict=True)
        if all(now.get_shape()[0] * count == before.get_shape()[0] for now, before in pairs):
            return one
    return None


def _untouched(model: ov.Model) -> None:
    """All that most networks need."""


def _infer_first_sizes(model: ov.Model) -> None:
    """Let reshapes find the first size by themselves: that of windowed attention counts the windows of all images."""
    of_images = {op.get_friendly_name() for op in model.get_parameters()}
    for op in model.get_ordered_ops():
        if any(value.get_node().get_friendly_name() in of_images for value in op.input_values()):
            of_images.add(op.get_friendly_name())
            sizes = op.input_value(1).get_node() if op.get_type_name() == "Reshape" else None
            if isinstance(sizes, ov.op.Constant):
                first, *rest = (int(size) for size in sizes.get_data())
                if first > 1 and min(rest, default=1) > 0:
                    op.input(1).replace_source_output(ov.opset8.constant(np.array([-1, *rest])).output(0))
