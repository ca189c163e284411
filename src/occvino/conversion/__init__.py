"""From a PyTorch checkpoint to an artifact: `convert` does it all; each step is a module."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import onnx
import openvino
import torch

import occvino
from occvino.artifact import BAKED_RIG, IR, IR_WEIGHTS, MANIFEST, ONNX, Artifact, Manifest, may_be_replaced
from occvino.conversion.bake import bake_in
from occvino.conversion.columns import Pooling, column_sizes, take_columns
from occvino.conversion.export import export_onnx
from occvino.conversion.lower import lower, read_onnx
from occvino.conversion.matrices import CalibrationForm, matrices_form, take_matrices
from occvino.conversion.provenance import provenance
from occvino.conversion.quantize import Calibration, load_nncf, to_int8
from occvino.conversion.raw_images import take_raw_images
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError
from occvino.files import atomic_folder, sha256
from occvino.geometry.columns import column_inputs
from occvino.geometry.doubts import doubts, warn_of_doubts
from occvino.geometry.image_transform import ImageTransform, parse_crop
from occvino.geometry.inputs import Geometry
from occvino.geometry.matrices import Matrices
from occvino.geometry.mistakes import mistakes
from occvino.geometry.rig import MAX_CAMERAS, Rig
from occvino.geometry.temporal import Temporal, check_form
from occvino.images.layout import ImageInput
from occvino.networks import build
from occvino.networks.flashocc import tap_names
from occvino.networks.panoptic import CENTRE_HEADS
from occvino.runtime.names import device_name, precision_name
from occvino.variant import Crop, Variant
from occvino.variants import get_variant

__all__ = ["PRECISIONS", "Precision", "convert", "read_onnx"]

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def convert(
    name: str,
    checkpoint: str | Path | None = None,
    out: str | Path = "artifact",
    *,
    precision: Precision = "fp16",
    rig: Rig | None = None,
    cameras: int | None = None,
    bake_calibration: bool = False,
    outputs: Sequence[str] = (),
    temporal: Temporal = "batch",
    dataset: str | Path | NuScenes | None = None,
    calibration_frames: int | None = None,
    accuracy_budget: float | None = None,
    image_input: ImageInput | None = None,
    crop: Crop = "top",
    pooling: Pooling | Literal["scatter"] | None = None,
    calibration: CalibrationForm = "plan",
    device: str | None = None,
    seed: int = 0,
    progress: Callable[[str], Any] = lambda step: None,
) -> Artifact:
    """Convert a checkpoint to one IR of stock operators, in a new folder that appears when all of it is done.

    Args:
        name: one of `occvino.variants()`.
        checkpoint: the weights (see `build`); random ones of `seed` when left out, and the manifest says so.
        out: the folder to write. An artifact that stands there alone is replaced; other files never are.
        precision: of the weights as stored: fp32 or fp16; what a device computes in is asked for when running. Or int8:
            the network is quantised, and runs so (docs/int8.md).
        rig: names the cameras, in the order in which the network takes them; the variant's own six when left out.
        cameras: how many cameras, when there is no rig and it is not the variant's six; they are called CAM_0, CAM_1...
        bake_calibration: make the rig's pooling plan a constant. The artifact then runs with that calibration alone.
        outputs: taps to give besides the labels, of `occvino.networks.flashocc.tap_names`, as "logits" and "depth".
        temporal: how a model of several frames takes the past (docs/temporal.md): "batch", all frames at once; "exact"
            or "fast", one frame at a time, with the state kept from past frames.
        dataset: for int8: nuScenes folder with Occ3D's gts, for calibration and validation.
        calibration_frames: for int8: how many at most, and as many of other scenes for validation; 100 when left out.
        accuracy_budget: for int8: points of mIoU that may be lost; 0.3 when left out.
        image_input: let the IR take raw images of this size and layout, under the name `frames`, and resize and
            crop them itself; when left out it takes them resized, under the name `images`. The ONNX file always does.
        crop: which rows of images that are too high for the network are cut off: "top", as the published models do,
            "middle", or a number of rows to cut from the top of the resized image (see `Variant.crop`).
        pooling: "bag", one operator, or "columns", matrix products and gathers (`bev_pool_columns`), which has room for
            the rig and for others of the same make; for rigs like that of nuScenes when there is no rig. By default
            columns with `device="NPU"` where the grid is flat, and bags else.
        calibration: how the IR takes it: "plan", a pooling plan that `Pipeline` makes; or "matrices", intrinsics and
            poses themselves, for programs in any language (docs/contract.md). The images then have the size of
            `image_input`, of the rig, or of nuScenes. Pooling is then "columns", sized for the rig, or "scatter",
            which fits any rig and is slower; by default columns where the grid is flat and the cameras are known.
        device: "NPU" for an IR that is arranged as Intel's NPU compiler likes it (docs/npu.md). It runs anywhere.
        seed: of random weights.
        progress: called with a few words when a step begins.

    Raises:
        OccvinoError: a checkpoint that does not fit, contradictory options, an output that cannot be written, an
            accuracy budget that cannot be met.
    """
    variant, precision = replace(get_variant(name), crop=parse_crop(crop)), stored_precision(precision)
    check_form(variant, temporal)
    names = _camera_names(variant, rig, cameras)
    rig = rig.select(names) if rig else None
    if rig and not bake_calibration:  # baking makes a plan, which tells more
        found = doubts(rig, variant)
        warn_of_doubts(found, mistakes(rig, found))
    if image_input:
        image_input.check_orientation([(camera.height, camera.width) for camera in rig.cameras] if rig else [])
        ImageTransform.for_test(image_input.size, variant.input_size, variant.crop)  # refuses those too flat
    _check(variant, tap_names(variant, temporal), outputs, rig, bake_calibration)
    npu = _for_npu(device)
    matrices = _matrices(calibration, pooling, variant, rig, names, image_input, baked=bake_calibration)
    quantising = None
    if precision == "int8":
        if dataset is None:
            raise OccvinoError(
                "int8 needs frames with ground truth to calibrate on: give dataset (--dataset DIR), a nuScenes folder"
            )
        load_nncf()  # if it is missing, that is to be said before the export
        quantising = Calibration.choose(dataset, names, calibration_frames, accuracy_budget)
    elif (dataset, calibration_frames, accuracy_budget) != (None, None, None):
        raise OccvinoError(f"dataset, calibration_frames and accuracy_budget are for int8, not for {precision}")
    if variant.panoptic:  # instance ids are made from these outside of the graph
        outputs = (*outputs, *(name for name in CENTRE_HEADS if name not in outputs))
    columns = None if matrices else column_sizes(pooling, variant, rig, names, npu=npu)
    baked = Geometry.of_rigs([rig], variant).inputs if rig and bake_calibration else None
    with atomic_folder(out, may_replace=may_be_replaced) as folder:
        progress("reading the weights")
        model = build(name, checkpoint, seed=seed)
        progress("torch -> ONNX")
        export_onnx(model, folder / ONNX, cameras=len(names), outputs=outputs, temporal=temporal, baked=baked)
        progress("ONNX -> OpenVINO IR")
        with TemporaryDirectory(dir=folder) as scratch:
            read = folder / ONNX
            if quantising and baked:  # its frames have rigs of their own: ours is put in when they have been run
                read = Path(scratch) / ONNX
                export_onnx(model, read, cameras=len(names), outputs=outputs, temporal=temporal)
            bagged = 1 if columns or matrices else variant.lifted_frames
            lower(read, folder / IR, compress_to_fp16=precision == "fp16", npu=npu, bagged_frames=bagged)
        if rig and bake_calibration:
            rig.save(folder / BAKED_RIG)
        written = [IR, IR_WEIGHTS, ONNX, *([BAKED_RIG] if bake_calibration else [])]
        grid = variant.occupancy_grid
        manifest = Manifest(
            variant=variant.name,
            precision="fp32" if quantising else precision,
            cameras=names,
            class_names=variant.class_names,
            grid={"lower": grid.lower, "step": grid.step, "shape": grid.shape},
            input_size=variant.input_size,
            outputs=("labels", *outputs),
            baked_calibration=bake_calibration and not quantising,
            temporal=temporal,
            crop=variant.crop,
            weights=provenance(checkpoint, seed),
            versions=_versions(),
            files={file: sha256(folder / file) for file in written},
        )
        if quantising:
            manifest = to_int8(Artifact(folder, manifest), quantising, progress)
            if baked:
                bake_in(folder / IR, baked)
                manifest = _rewritten(manifest, folder, baked_calibration=True)
        if matrices:
            progress("geometry inside the graph")
            take_matrices(folder / IR, variant, matrices)
            manifest = _rewritten(manifest, folder, matrices=matrices)
        if columns:
            progress("pooling by columns")
            plan = column_inputs(baked, variant, columns) if baked else None
            take_columns(folder / IR, columns, variant.lifted_frames, plan)
            manifest = _rewritten(manifest, folder, columns=columns)
        if image_input:  # last: what it adds is exact arithmetic on grey levels, which must not be quantised
            progress("resizing inside the graph")
            take_raw_images(folder / IR, image_input, variant.crop)
            manifest = _rewritten(manifest, folder, image_input=image_input)
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return Artifact(Path(out), manifest)


def _rewritten(manifest: Manifest, folder: Path, **changes: Any) -> Manifest:
    """The manifest once the IR was written again."""
    files = {**manifest.files, **{file: sha256(folder / file) for file in (IR, IR_WEIGHTS)}}
    return replace(manifest, files=files, **changes)


def _matrices(
    calibration: str,
    pooling: str | None,
    variant: Variant,
    rig: Rig | None,
    names: tuple[str, ...],
    image_input: ImageInput | None,
    *,
    baked: bool,
) -> Matrices | None:
    """What is fixed in an IR that takes matrices; None for one that takes a plan."""
    if calibration not in get_args(CalibrationForm):
        raise OccvinoError(f"calibration {calibration!r}: expected one of {', '.join(get_args(CalibrationForm))}")
    if calibration == "plan":
        return None
    if baked:
        raise OccvinoError(
            "calibration='matrices' makes it an input, and bake_calibration a constant: give one of the two"
        )
    return matrices_form(pooling, variant, rig, names, image_input)


def _for_npu(device: str | None) -> bool:
    if device is not None and device_name(device) != "NPU":
        raise OccvinoError(f"device {device!r}: an IR is arranged for NPU alone; for other devices leave device out")
    return device is not None


def stored_precision(precision: str) -> Precision:
    """The name of a precision to store weights in; "f16" is read as "fp16".

    Raises:
        OccvinoError: there is none of that name; says what it may mean.
    """
    name = precision_name(precision)
    for known in PRECISIONS:
        if name == known:
            return known
    meant = ": bf16 is what a device computes in, asked for when running (occvino run --precision bf16)"
    raise OccvinoError(
        f"precision {precision!r} is not one of {', '.join(PRECISIONS)}, in which weights are stored"
        + (meant if name == "bf16" else "")
    )


def _camera_names(variant: Variant, rig: Rig | None, cameras: int | None) -> tuple[str, ...]:
    if rig and cameras is not None and cameras != len(rig):
        raise OccvinoError(f"cameras={cameras} contradicts the rig, which has {len(rig)}: give one of the two")
    if rig:
        known = set(rig.names) == set(variant.camera_names)
        return variant.camera_names if known else rig.names
    if cameras is None or cameras == len(variant.camera_names):
        return variant.camera_names
    if not 1 <= cameras <= MAX_CAMERAS:
        raise OccvinoError(f"cameras={cameras}: expected 1 to {MAX_CAMERAS}")
    return tuple(f"CAM_{index}" for index in range(cameras))


def _check(
    variant: Variant,
    known: Sequence[str],
    outputs: Sequence[str],
    rig: Rig | None,
    bake_calibration: bool,
) -> None:
    if len(set(outputs)) < len(outputs):
        raise OccvinoError(f"an output is asked for twice: {', '.join(outputs)}")
    unknown = [output for output in outputs if output not in known]
    if unknown:
        raise OccvinoError(f"there is no output {', '.join(unknown)}; besides labels there are {', '.join(known)}")
    if bake_calibration and variant.frames > 1:
        raise OccvinoError(
            f"{variant.name} takes {variant.frames} frames, whose geometry changes as the vehicle moves: "
            "it cannot be baked in"
        )
    if bake_calibration and rig is None:
        raise OccvinoError("bake_calibration needs the rig to bake")


def _versions() -> dict[str, str]:
    return {
        "occvino": occvino.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "openvino": openvino.__version__,
        "numpy": np.__version__,
    }
