"""Cut a model at named tensors into submodels, which together compute the same."""

from collections.abc import Iterable, Mapping

import openvino as ov

from occvino.errors import DeviceError

IMAGE_INPUTS = {"images", "frames"}
"""Inputs that hold images."""


def split(model: ov.Model, cuts: Mapping[str, tuple[str, ...]]) -> dict[str, ov.Model]:
    """Submodels by the names of their stages, in order; `model` stays as it is. `cuts`: the taps that each hands on.

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
