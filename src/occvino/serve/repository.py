"""A model repository for OpenVINO Model Server: the IR in a folder for its version, and the server's `config.json`.

Layout and keys are those of the server's documents ("Preparing a Model Repository", "Model Server Parameters"):

    config.json            which models there are, and how each is compiled
    NAME/1/model.xml, model.bin
    NAME/occvino.json      the artifact's manifest: classes, cameras, grid; the server looks at folders alone
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import openvino as ov

from occvino.artifact import IR, IR_WEIGHTS, MANIFEST, Artifact
from occvino.errors import ArtifactError, DeviceError
from occvino.files import atomic_folder, from_json
from occvino.runtime.devices import Settings
from occvino.runtime.names import DEVICES, device_name
from occvino.serve.frame import CAMERA2EGO, INTRINSICS

CONFIG = "config.json"
VERSION = "1"
IMAGE_INPUTS = ("frames", "images")
"""Raw images, which the IR resizes itself, or resized ones."""


def export_repository(
    artifact: str | Path | Artifact,
    out: str | Path,
    *,
    name: str | None = None,
    device: str = "CPU",
    settings: Settings | None = None,
) -> Path:
    """Write a model repository; gives the path of its `config.json`.

    Args:
        artifact: whose IR takes images and matrices, so that clients in any language can call it.
        out: folder to write. It may be an older repository of one model that was written here, which is replaced.
        name: that clients call the model by; its variant when left out.
        device: that the server compiles for.
        settings: precision, hint, streams, threads; "latency" where no hint is given.

    Raises:
        ArtifactError: the artifact is incomplete, or its IR takes something else, a pooling plan for example; or a name
            that can be no folder.
        DeviceError: a device or setting that is none, or an NPU.
        OutputError: `out` cannot be written to, or holds something else.
    """
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    called = opened.manifest.variant if name is None else name
    if not called or Path(called).name != called or called.startswith(".") or "\\" in called:
        raise ArtifactError(f"the model name {called!r} can be no folder: give another --name")
    device = device_name(device)
    if "NPU" in device:
        raise DeviceError(
            f"{device}: an NPU computes in half precision, which is not enough for the geometry that the IR begins "
            "with; `Pipeline` gives that part to the CPU, and OpenVINO Model Server has no such thing: choose CPU or "
            "GPU, or `occvino serve --device NPU`"
        )
    unknown = [each for each in re.split("[:,]", device) if each.partition(".")[0] not in DEVICES]
    if unknown:
        raise DeviceError(f"{device}: {', '.join(unknown)} is no device: expected one of {', '.join(DEVICES)}")
    shapes = _matrix_shapes(opened)
    config = {
        "name": called,
        "base_path": called,  # relative to the folder of config.json
        "shape": {each: f"({','.join(map(str, shape))})" for each, shape in shapes.items()},
        "target_device": device,
        "plugin_config": _plugin_config(settings or Settings()),
        "model_version_policy": {"specific": {"versions": [int(VERSION)]}},
    }
    with atomic_folder(out, may_replace=_is_repository) as folder:
        version = folder / called / VERSION
        version.mkdir(parents=True)
        for file in (IR, IR_WEIGHTS):
            shutil.copyfile(opened.checked(file), version / file)
        shutil.copyfile(opened.path / MANIFEST, folder / called / MANIFEST)
        text = json.dumps({"model_config_list": [{"config": config}]}, indent=1) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
    return Path(out) / CONFIG


def _plugin_config(settings: Settings) -> dict[str, Any]:
    """OpenVINO's properties, as JSON has them. The folder for compiled models is an option of the server's own."""
    found = {"PERFORMANCE_HINT": "LATENCY", **settings.properties()}
    return {key: value if isinstance(value, bool | int | float) else str(value) for key, value in found.items()}


def _matrix_shapes(artifact: Artifact) -> dict[str, list[int]]:
    """Shapes of the inputs of an IR that takes images and matrices.

    Raises:
        ArtifactError: it takes something else; the message says how to convert.
    """
    model = ov.Core().read_model(artifact.path / IR)
    shapes = {value.get_any_name(): value.get_partial_shape() for value in model.inputs}
    images = [name for name in IMAGE_INPUTS if name in shapes]
    others = set(shapes) - {*IMAGE_INPUTS, INTRINSICS, CAMERA2EGO}
    fixed = {each: list(shape.to_shape()) for each, shape in shapes.items() if shape.is_static}
    if len(images) != 1 or others or not {INTRINSICS, CAMERA2EGO} <= set(shapes) or len(fixed) != len(shapes):
        raise ArtifactError(
            f"the IR of {artifact.path} takes {', '.join(sorted(shapes))}, and a client of a model server has images, "
            f"{INTRINSICS} and {CAMERA2EGO}: {_way_out(artifact)}"
        )
    return fixed


def _way_out(artifact: Artifact) -> str:
    manifest = artifact.manifest
    if manifest.temporal != "batch":
        return (
            f"the form {manifest.temporal!r} remembers past frames, which a server of many clients does not: convert "
            f"with occvino convert {manifest.variant} --temporal batch --calibration matrices"
        )
    return f"convert it with occvino convert {manifest.variant} --calibration matrices"


def _is_repository(folder: Path) -> bool:
    """Whether a folder holds a repository of one model as it is written here, and nothing else."""
    try:
        found = from_json((folder / CONFIG).read_bytes())
        (model,) = found["model_config_list"]
        name = model["config"]["name"]
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return files <= {CONFIG, f"{name}/{MANIFEST}", *(f"{name}/{VERSION}/{file}" for file in (IR, IR_WEIGHTS))}
