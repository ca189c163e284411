"""One IR cut at named taps into submodels that can run on different devices."""

from collections.abc import Iterable, Mapping

import numpy as np
import openvino as ov

from occvino.errors import DeviceError
from occvino.runtime.calibration import CALIBRATION, cut_calibration
from occvino.runtime.devices import has_matrix_engines

CUTS: Mapping[str, tuple[str, ...]] = {"encoder": ("depth", "features"), "pool": ("bev",), "trunk": ()}
"""The stages in order, and the taps that each hands on to those after it."""
NPU_CUTS: Mapping[str, tuple[str, ...]] = {"encoder": ("depth", "features"), "rest": ()}
"""How a network is cut for an NPU: the first part is run image by image, since six at a time do not fit the memory of
the NPU and travel there and back (docs/npu.md)."""
GPU_CUTS: Mapping[str, tuple[str, ...]] = {"front": ("bev",), "trunk": ()}
"""How a network is cut for a GPU without matrix engines: beside a batch of images and a pooling bag the plugin computes
all convolutions behind them in a plain layout, and in a model of their own in a blocked one (docs/gpu.md)."""
JOIN, JOINED = "join", "joined/"
"""The stage that joins what a stream keeps with that of this frame, and how the names of what it gives begin."""
IMAGE_INPUTS = {"images", "frames"}
"""Inputs that hold images."""


def check_stages(names: Iterable[str]) -> None:
    """Refuse other stages than `CUTS`.

    Raises:
        DeviceError: a stage has no device, or there is no such stage.
    """
    given, expected = list(names), ", ".join(CUTS)
    unknown = [name for name in given if name not in CUTS]
    missing = [name for name in CUTS if name not in given]
    if unknown:
        raise DeviceError(f"there is no stage {', '.join(unknown)}: give a device to each of {expected}")
    if missing:
        raise DeviceError(f"no device for {', '.join(missing)}: give one to each of {expected}")


def parts_on(device: str, model: ov.Model) -> dict[str, ov.Model]:
    """The models that one device runs a network as, by the names of their stages; often one, named "".

    For an NPU see `npu_parts`. For a GPU without matrix engines what is behind the pooling is a model of its own.
    """
    kind = device.split(".")[0]
    if kind == "GPU" and not has_matrix_engines(device):
        return split(model, GPU_CUTS)
    if kind != "NPU":
        return {"": model}
    return {name: part for name, (part, _) in npu_parts(model).items()}


def npu_parts(model: ov.Model) -> dict[str, tuple[ov.Model, int]]:
    """The models that an NPU runs a network as, by the names of their stages, and how often a frame takes each.

    What computes with calibration alone comes first, if there is any: it runs on the CPU (`device_of`). The encoder
    takes one image, where the network computes each image apart from the others. In a stream that computes depth for
    past images anew ("exact"), the encoder ends at what is kept; that is joined with what was kept, on the CPU, and
    depth is computed image by image as well.
    """
    cut = cut_calibration(model)
    model = cut[1] if cut else model.clone()
    parts = {name: (part, 1) for name, part in split(model, _npu_cuts(model)).items()}
    for name in ("encoder", "lift"):
        if name in parts and (one := of_one_image(parts[name][0])):
            parts[name] = one, parts[name][0].input(0).get_shape()[0]
    return {CALIBRATION: (cut[0], 1), **parts} if cut else parts


def _npu_cuts(model: ov.Model) -> Mapping[str, tuple[str, ...]]:
    """Where to cut; names what joins present and past."""
    kept = {value.get_any_name() for value in model.outputs} & {"reduced", "stride4"}
    if "reduced" not in kept:
        return NPU_CUTS
    cuts: dict[str, tuple[str, ...]] = {"encoder": tuple(sorted(kept))}
    if joined := _joined(model, kept):
        cuts[JOIN] = joined
    return {**cuts, "lift": NPU_CUTS["encoder"], "rest": ()}


def _joined(model: ov.Model, kept: set[str]) -> tuple[str, ...]:
    """What the stage that joins gives, which gets names here; nothing where images meet in another way.

    With stereo features of stride 4 too: those of the frames to be lifted, and of the frame before each.
    """
    given = list[ov.Output]()
    for name in sorted(kept):
        concats = [
            op for op in model.get_ops() if op.get_type_name() == "Concat" and name in op.input_value(0).get_names()
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


def device_of(stage: str, device: str) -> str:
    """What a stage of `parts_on(device)` runs on: that device, but the CPU for what is there for NPUs alone."""
    return "CPU" if stage in (CALIBRATION, JOIN) else device


def of_one_image(model: ov.Model) -> ov.Model | None:
    """The same for the first image alone; None if the images of a batch meet, or something says how many there are."""
    batches = {value.get_shape()[0] if len(value.get_shape()) else 0 for value in (*model.inputs, *model.outputs)}
    if len(batches) > 1 or batches <= {0, 1}:
        return None
    for change in (_untouched, _infer_first_sizes):
        one = model.clone()
        change(one)
        try:
            one.reshape({value.get_any_name(): [1, *list(value.get_shape())[1:]] for value in one.inputs})
        except RuntimeError:
            continue
        if all(value.get_shape()[0] == 1 for value in one.outputs):
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


def split(model: ov.Model, cuts: Mapping[str, tuple[str, ...]] = CUTS) -> dict[str, ov.Model]:
    """Submodels by the names of their stages, in order; `model` stays as it is.

    A submodel takes the taps of earlier stages and those inputs of the model that it reaches, and gives its own taps
    and those outputs of the model that it is the first to have. All names are kept.

    Raises:
        DeviceError: a tap is not in the model, or something besides the taps crosses a cut.
    """
    owner = _owners(model, cuts)
    outputs = {
        name: [value.get_any_name() for value in model.outputs if owner[_producer(value)] == index]
        for index, name in enumerate(cuts)
    }
    given: list[str] = []
    parts: dict[str, ov.Model] = {}
    for name, taps in cuts.items():
        parts[name] = _part(model, name, given, dict.fromkeys([*outputs[name], *taps]))
        given += taps
    return parts


def _owners(model: ov.Model, cuts: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """The first stage that can compute each node, by the node's name.

    What is computed from images may reach a later stage through taps alone: all else would be computed twice. What a
    tap of a stage is computed from belongs to that stage, whatever other taps it passes.
    """
    needed = _needed(model, cuts)
    after = {tap: index + 1 for index, taps in enumerate(cuts.values()) for tap in taps}
    owner: dict[str, int] = {}
    seen, found = set[str](), set[str]()
    for node in model.get_ordered_ops():
        name, stage, leaks = node.get_friendly_name(), 0, list[tuple[int, str]]()
        for value in (each.get_source_output() for each in node.inputs()):
            source, taps = value.get_node().get_friendly_name(), value.get_names() & set(after)
            behind = (after[tap] for tap in taps if name not in needed[after[tap] - 1])
            stage = max(stage, owner[source], *behind)
            if source in seen:
                seen.add(name)
                leaks += [] if taps else [(owner[source], source)]
        crossing = [source for before, source in leaks if before < stage]
        if crossing and node.get_type_name() != "Result":
            raise DeviceError(f"this network cannot be cut at {', '.join(after)}: {crossing[0]} bypasses them")
        names = {each for value in node.outputs() for each in value.get_names()}
        found |= names & set(after)
        if names & IMAGE_INPUTS:
            seen.add(name)
        owner[name] = stage
    if missing := set(after) - found:
        raise DeviceError(f"the IR has no tap {', '.join(sorted(missing))} to be cut at: convert again")
    return owner


def _needed(model: ov.Model, cuts: Mapping[str, tuple[str, ...]]) -> list[set[str]]:
    """For each stage the names of all nodes that its taps depend on, the taps' own among them."""
    values = {tensor: value for op in model.get_ops() for value in op.outputs() for tensor in value.get_names()}
    return [_reached(values[tap] for tap in taps if tap in values) for taps in cuts.values()]


def _producer(output: ov.Output) -> str:
    return output.get_node().input_value(0).get_node().get_friendly_name()


def _part(model: ov.Model, name: str, given: Iterable[str], wanted: Iterable[str]) -> ov.Model:
    """The submodel from the model's inputs and the taps `given` to the tensors `wanted`."""
    copy = model.clone()
    values = {tensor: value for node in copy.get_ops() for value in node.outputs() for tensor in value.get_names()}
    ends = [values[tensor] for tensor in wanted]
    inputs = copy.get_parameters()
    for tap in given:
        value = values[tap]
        stand_in = ov.opset8.parameter(value.get_shape(), value.get_element_type(), name=tap)
        stand_in.output(0).set_names({tap})
        for consumer in value.get_target_inputs():
            consumer.replace_source_output(stand_in.output(0))
        inputs.append(stand_in)
    reached = _reached(ends)
    results = [ov.opset8.result(end) for end in ends]
    taken = [each for each in inputs if each.get_friendly_name() in reached]
    return ov.Model(results, taken, name)  # pyright: ignore[reportGeneralTypeIssues]  # its stub cannot be built


def _reached(ends: Iterable[ov.Output]) -> set[str]:
    """Names of all nodes that the values depend on."""
    found, waiting = set[str](), [end.get_node() for end in ends]
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in found:
            found.add(node.get_friendly_name())
            waiting += [each.get_source_output().get_node() for each in node.inputs()]
    return found
