"""Is it still the same network? One frame through PyTorch, ONNX Runtime and the IR, compared tap by tap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.artifact import IR, ONNX, Artifact
from occvino.conversion.as_run import as_run
from occvino.conversion.floats import geometry_constants
from occvino.conversion.half import HalfRun, emulate_half
from occvino.conversion.provenance import rebuild
from occvino.conversion.references import half_floors, noise_floors, run_onnx, run_torch
from occvino.conversion.report import Report, Resized, TapResult
from occvino.conversion.tolerances import TOLERANCES, Arrays, Error
from occvino.conversion.torch_stream import TorchStream
from occvino.conversion.verify_matrices import Computed, computed_geometry
from occvino.errors import FrameError, OccvinoError, warn
from occvino.files import OutputError
from occvino.geometry.columns import column_inputs
from occvino.geometry.doubts import shares_in_grid, usual_share
from occvino.geometry.inputs import PLAN_INPUTS, Geometry
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import Temporal
from occvino.images.exif import Exif, exif_of
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig, raw_images, resized_images, with_past
from occvino.networks import FlashOcc
from occvino.networks.flashocc import logits_of, tap_names
from occvino.renamed import renamed_keywords
from occvino.runtime.cut import resizing_part
from occvino.runtime.devices import Running, Settings, checked_device, compile_model, running
from occvino.runtime.names import precision_name
from occvino.variant import Variant


@renamed_keywords(frames="images")
def verify(
    artifact: str | Path | Artifact,
    images: Images,
    rig: Rig,
    *,
    past: Sequence[ImagesAndRig] = (),
    checkpoint: str | Path | None = None,
    device: str = "CPU",
    precision: str | None = "fp32",
    emulate: str | None = None,
    exif: str = "warn",
    progress: Callable[[str], Any] = lambda step: None,
) -> Report:
    """Run one frame through torch, ONNX Runtime and the IR, and compare every tap; the manifest records the result.

    All three runs of a stream are given what PyTorch remembers of the past frames.

    Args:
        artifact: folder made by `convert`.
        images: one per camera, as `Pipeline` takes them.
        rig: that took them.
        past: images and rigs of past frames, newest first, for a network that takes several frames; the current frame
            stands in for missing ones.
        checkpoint: the weights it was converted from; needed if they are no longer where they were.
        device: for the IR.
        precision: what the IR computes in there. In fp32, what is measured is the conversion; None leaves the choice to
            the device, as `Pipeline` does, and is judged more loosely.
        emulate: "f16" to tell as well what half precision, as NPUs and GPUs compute in, does to the network.
        exif: "warn", "apply" or "ignore", as for `Pipeline`.
        progress: called with a few words when a step begins.

    Raises:
        ArtifactError: the checkpoint is not the one that was converted.
        OccvinoError: bad images, rig or device, or there is nothing of that name to emulate.
    """
    if emulate is not None and precision_name(emulate) != "fp16":
        raise OccvinoError(f"emulate={emulate!r}: f16 is what is emulated; for others run on a device that has them")
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    device, precision = checked_device(device), Settings(precision).precision  # now, not after PyTorch has run
    expected = expect(
        opened,
        images,
        rig,
        past=past,
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        emulate=emulate is not None,
        exif=exif,
        progress=progress,
    )
    progress(f"OpenVINO {device}")
    report = judge(opened, expected, device=device, precision=precision)
    if precision == "fp32":
        progress(f"OpenVINO {device}, as it runs by itself")
        report = replace(report, as_run=as_run(opened, expected.inputs, expected.torch, device))
    try:
        opened.with_parity(report.to_dict())
    except OutputError as error:
        warn(f"the result is not recorded in the manifest: {error}")
    return report


@dataclass(frozen=True)
class Expected:
    """What an IR must give for one frame: its inputs, every tap and the labels by PyTorch and by ONNX Runtime.

    `floors`: of a stereo network, for the tolerance "fp32" and for all others, by tap.
    `batch`: of a stream, what the network gives that takes all frames at once.
    """

    inputs: Arrays
    torch: Arrays
    onnx: Arrays
    floors: Mapping[str, Mapping[str, Error]]
    points_kept: float
    points: Mapping[str, float]
    batch: Arrays | None = None
    resized: Resized | None = None
    half: tuple[HalfRun, ...] = ()
    computed: Computed | None = None


def expect(
    opened: Artifact,
    images: Images,
    rig: Rig,
    *,
    past: Sequence[ImagesAndRig] = (),
    checkpoint: str | Path | None = None,
    device: str = "CPU",
    precision: str | None = "fp32",
    emulate: bool = False,
    exif: str = "warn",
    progress: Callable[[str], Any] = lambda step: None,
) -> Expected:
    """The two forms that the IR was made from, run on one frame; arguments and errors are those of `verify`."""
    variant, temporal, choice = opened.variant, opened.manifest.temporal, exif_of(exif)
    seen = with_past(images, rig, past, variant.frames)
    rigs = [opened.match(rig) for _, rig in seen]
    geometry = Geometry.of_rigs(rigs, variant)
    resized = resized_images(seen, rigs, variant, exif=choice)
    progress("PyTorch")
    model = rebuild(opened, checkpoint)
    raw, against_pillow = None, None
    if opened.manifest.image_input:
        raw, by_pillow = _raw(opened, seen, rigs, choice), resized
        resized = _resized(opened.path / IR, raw, device, precision)
        against_pillow = Resized.between(resized, by_pillow)
    inputs: dict[str, NDArray[Any]] = {"images": resized, **geometry.inputs}
    matrices, by_graph, computed = computed_geometry(opened, rigs, device, precision)
    batch: Arrays | None = None
    if temporal != "batch":
        batch = run_torch(model, inputs | by_graph if temporal == "exact" else inputs, "batch")
        inputs = _last_of_stream(model, temporal, resized, rigs[: 1 + len(past)])
    inputs |= by_graph
    taps = run_torch(model, inputs, temporal)
    floors: dict[str, dict[str, Error]] = {}
    if variant.stereo:
        progress("PyTorch again, rounded otherwise")
        floors["fp32"] = noise_floors(model, inputs, taps, temporal)
        exact = geometry_constants(ov.Core().read_model(opened.path / IR))
        stored = half_floors(model, inputs, taps, temporal, exact)
        floors["half"] = {name: error.most(stored[name]) for name, error in floors["fp32"].items()}
    half: tuple[HalfRun, ...] = ()
    if emulate:
        progress("PyTorch, rounded to f16")
        half = emulate_half(model, inputs, taps, temporal)
    given = {"images": inputs["images"]} if opened.manifest.baked_calibration else inputs
    to_ir = dict(given)
    if opened.manifest.columns and not opened.manifest.baked_calibration:
        to_ir |= column_inputs(given, variant, opened.manifest.columns)
        to_ir = {name: value for name, value in to_ir.items() if name not in PLAN_INPUTS}
    if matrices:
        to_ir = {name: value for name, value in to_ir.items() if name not in by_graph} | matrices
    if raw is not None:
        to_ir["frames"] = raw[: len(to_ir.pop("images"))]
    progress("ONNX Runtime")
    from_onnx = run_onnx(opened.checked(ONNX), given, tap_names(variant, temporal))
    kept = geometry.plan.kept / geometry.plan.points
    points = shares_in_grid(rigs[0], variant)
    return Expected(to_ir, taps, from_onnx, floors, kept, points, batch, against_pillow, half, computed)


def judge(opened: Artifact, expected: Expected, *, device: str = "CPU", precision: str | None = "fp32") -> Report:
    """Run the IR on the frame of `expected` and compare; arguments and errors are those of `verify`."""
    names, batch = tap_names(opened.variant, opened.manifest.temporal), expected.batch
    from_ir, ir_labels, compiled = _run_ir(opened.path / IR, expected.inputs, opened.variant, names, device, precision)
    ran = running(compiled, device)
    kind = _ir_tolerance(opened.manifest.precision, ran)
    tolerances = {"onnx": TOLERANCES["fp32"], "ir": TOLERANCES[kind]}
    return Report(
        taps=tuple(_compare(name, expected, from_ir[name], kind) for name in names),
        onnx_labels=float((expected.onnx["labels"] == expected.torch["labels"]).mean()),
        ir_labels=float((ir_labels == expected.torch["labels"]).mean()),
        tolerances=tolerances,
        running=ran,
        points_kept=expected.points_kept,
        points=expected.points,
        points_usual=usual_share(opened.variant),
        batch_labels=float((ir_labels == batch["labels"]).mean()) if batch else None,
        temporal=opened.manifest.temporal,
        resized=expected.resized,
        half=expected.half,
        computed=expected.computed,
    )


def _raw(artifact: Artifact, seen: Sequence[ImagesAndRig], rigs: Sequence[Rig], exif: Exif) -> NDArray[np.uint8]:
    takes = artifact.manifest.image_input
    assert takes is not None
    other = {(camera.height, camera.width) for rig in rigs for camera in rig.cameras} - {takes.size}
    if other:
        height, width = other.pop()
        raise FrameError(
            f"{artifact.path} takes images of {takes}, the rig has {height}x{width} (height x width): verify it "
            "with its own, or convert again with --rig RIG.json"
        )
    return raw_images(seen, rigs, takes, exif="apply" if exif == "apply" else "ignore")  # it has been warned already


def _resized(path: Path, raw: NDArray[np.uint8], device: str, precision: str | None) -> NDArray[np.uint8]:
    """The `images` that the IR makes of raw images, as many at a time as it takes."""
    part = resizing_part(ov.Core().read_model(path))
    compiled, at_a_time = compile_model(part, device, Settings(precision)), part.input("frames").shape[0]
    return np.concatenate(
        [np.array(compiled({"frames": some})["images"]) for some in np.split(raw, len(raw) // at_a_time)]
    )


def _last_of_stream(
    model: FlashOcc, temporal: Temporal, images: NDArray[np.uint8], rigs: Sequence[Rig]
) -> dict[str, NDArray[Any]]:
    """What a stream is given for its newest frame, once PyTorch has run the past frames.

    `images`: [F * N, H, W, 3], newest frame first, as many of them as there are rigs.
    """
    stream = TorchStream(model, temporal, len(rigs[0]))
    by_frame = np.split(images, model.variant.frames)[: len(rigs)]
    for of_frame, rig in reversed(list(zip(by_frame, rigs, strict=True))[1:]):
        stream(of_frame, rig)
    return {"images": by_frame[0], **stream.inputs(rigs[0])}


def _ir_tolerance(stored: str, ran: Running) -> str:
    return stored if stored == "int8" or ran.precision == "fp32" else "half"


def _compare(name: str, expected: Expected, from_ir: NDArray[Any], kind: str) -> TapResult:
    onnx_error = Error.between(expected.onnx[name], expected.torch[name])
    ir_error = Error.between(from_ir, expected.torch[name])
    exact, ours = TOLERANCES["fp32"], TOLERANCES[kind]
    floor = None
    if expected.floors:
        floor = expected.floors["fp32" if kind == "fp32" else "half"][name]
        exact, ours = exact.over(expected.floors["fp32"][name]), ours.over(floor)
    return TapResult(
        name=name,
        scale=float(expected.torch[name].std()),
        onnx=onnx_error,
        ir=ir_error,
        onnx_ok=onnx_error.within(exact),
        ir_ok=ir_error.within(ours),
        floor=floor,
    )


def _run_ir(
    path: Path, inputs: Arrays, variant: Variant, taps: Sequence[str], device: str, precision: str | None
) -> tuple[Arrays, NDArray[Any], ov.CompiledModel]:
    """Taps from a copy with more outputs; labels from the IR as it is, since outputs hold fusions back."""
    as_shipped = compile_model(ov.Core().read_model(path), device, Settings(precision))
    labels = np.array(as_shipped(dict(inputs))["labels"])
    tapped = ov.Core().read_model(path)
    present = {output.get_any_name() for output in tapped.outputs}
    wanted = [name for name in taps if name != "logits" or name in present]
    tapped.add_outputs([name for name in wanted if name not in present])
    outputs = compile_model(tapped, device, Settings(precision))(dict(inputs))
    found = {name: np.array(outputs[name]) for name in wanted}
    if "logits" not in found:  # an IR that was not asked for logits does not transpose scores to them
        found["logits"] = logits_of(found["scores"], variant)
    return found, labels, as_shipped
