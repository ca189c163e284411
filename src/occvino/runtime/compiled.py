"""Artifacts compiled ahead of time: OpenVINO's own exported models beside the IR, for one device.

A folder of `compile_artifact` is a whole artifact and, beside it:

compiled.json                what was compiled, by what, for which device
encoder.blob, rest.blob      the compiled models, by stage; model.blob where the device runs the network in one piece
lift.blob, frame.blob         stages of streams on an NPU (`npu_parts.npu_parts`)
calibration.blob, join.blob   what runs on the CPU beside an NPU, where there is any

`Pipeline(folder)` imports them. A device takes only what its own plugin, in this version, compiled.
"""

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from occvino.artifact import BAKED_RIG, IR, IR_WEIGHTS, MANIFEST, ONNX, Artifact, refuse_inside
from occvino.errors import ArtifactError, DeviceError
from occvino.files import atomic_folder, from_json, sha256, write_text
from occvino.runtime.devices import Settings, checked_device, compile_model
from occvino.runtime.stages import device_of, parts_on

COMPILED = "compiled.json"
WHOLE = "model"
"""Stem of the file of a network in one piece."""


@dataclass(frozen=True)
class Compiled:
    """What `compiled.json` says.

    Attributes:
        device: that it was compiled for.
        platform: of the NPU; None elsewhere, and where it was the machine's own.
        openvino: version that compiled.
        settings: what was asked for, in OpenVINO's words.
        ir: sha256 of the IR that was compiled.
        parts: sha256 of each blob, by stage; "" is the whole network.
        compiler: what the device says of its compiler; "unknown" where it does not.
    """

    device: str
    platform: str | None
    openvino: str
    settings: Mapping[str, str]
    ir: str
    parts: Mapping[str, str]
    compiler: str = "unknown"

    @classmethod
    def of(cls, folder: Path) -> "Compiled | None":
        """Read that of a folder; None if nothing was compiled there.

        Raises:
            ArtifactError: the file is damaged.
        """
        path = folder / COMPILED
        if not path.exists():
            return None
        try:
            return cls(**from_json(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise ArtifactError(f"{path} cannot be read: {error}: compile again") from error

    def load(self, artifact: Artifact) -> dict[str, ov.CompiledModel]:
        """Import the models, by stage.

        Raises:
            ArtifactError: a file is missing or altered, or belongs to another IR.
            DeviceError: the device is not here, or does not take them; says why.
        """
        if self.ir != artifact.manifest.files[IR]:
            raise ArtifactError(f"{artifact.path} was compiled from another IR than the one in it: compile again")
        device = checked_device(self.device)
        beside = Settings().beside().properties()
        found: dict[str, ov.CompiledModel] = {}
        for stage in self.parts:
            on = device_of(stage, device)
            asked = self.settings if on == device else beside
            found[stage] = self._load(artifact.path / blob_name(stage), stage, on, asked)
        return found

    def _load(self, path: Path, stage: str, device: str, asked: Mapping[str, Any]) -> ov.CompiledModel:
        if not path.is_file() or sha256(path) != self.parts[stage]:
            raise ArtifactError(f"{path} is missing, or is not the file that was compiled: compile again")
        try:
            # the CPU plugin takes its own choice of precision again where it is not told what was compiled for
            return ov.Core().import_model(io.BytesIO(path.read_bytes()), device, dict(asked))
        except RuntimeError as error:
            raise DeviceError(
                f"{device} does not take {path}, which OpenVINO {self.openvino} compiled for {self._made_for}; here is "
                f"OpenVINO {ov.__version__}: compile again on this machine: {error}"
            ) from error

    @property
    def _made_for(self) -> str:
        return f"platform {self.platform}" if self.platform else self.device


def blob_name(stage: str) -> str:
    """The file of a stage."""
    return f"{stage or WHOLE}.blob"


def compile_artifact(
    artifact: str | Path | Artifact,
    device: str,
    out: str | Path,
    *,
    platform: str | None = None,
    settings: Settings | None = None,
) -> Compiled:
    """Compile an artifact for a device, with the compiler of OpenVINO's plugin here, and write it to a new folder.

    Args:
        artifact: folder made by `convert`.
        device: of OpenVINO, as "NPU" or "GPU".
        out: the folder to write; a compiled artifact that stands there is replaced, other files never are.
        platform: of the NPU, as "4000", if it is not this machine's.
        settings: what else is asked for; no cache, which this takes the place of.

    Raises:
        ArtifactError: the artifact is incomplete or altered.
        DeviceError: the device is not here, cannot compile the network, or cannot export it.
        OutputError: `out` cannot be written.
    """
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    settings, device = settings or Settings(), checked_device(device)
    if platform is not None and device.split(".")[0] != "NPU":
        raise DeviceError(f"platform {platform}: only NPUs have platforms, and the device is {device}")
    refuse_inside(Path(out).parent)
    more = {"NPU_PLATFORM": platform} if platform else {}
    parts = parts_on(device, ov.Core().read_model(opened.path / IR))
    with atomic_folder(out, may_replace=_holds_compiled_alone) as folder:
        hashes: dict[str, str] = {}
        for stage, model in parts.items():
            on = device_of(stage, device)
            asked = (settings, more) if on == device else (settings.beside(), {})
            compiled = compile_model(model, on, *asked)
            (folder / blob_name(stage)).write_bytes(_exported(compiled, on))
            hashes[stage] = sha256(folder / blob_name(stage))
        for name in (MANIFEST, *opened.manifest.files):
            if name != ONNX:
                shutil.copyfile(opened.path / name, folder / name)
        words = {name: str(value) for name, value in settings.properties().items()}
        found = Compiled(device, platform, ov.__version__, words, opened.manifest.files[IR], hashes, _compiler(device))
        write_text(folder / COMPILED, json.dumps(asdict(found), indent=1) + "\n")
    return found


def _exported(compiled: ov.CompiledModel, device: str) -> bytes:
    stream = io.BytesIO()
    try:
        compiled.export_model(stream)
    except RuntimeError as error:
        raise DeviceError(f"{device} cannot export what it compiled: {error}") from error
    return stream.getvalue()


def _compiler(device: str) -> str:
    try:
        return str(ov.Core().get_property(device, "NPU_COMPILER_VERSION"))
    except RuntimeError:  # of NPUs alone
        return "unknown"


def _holds_compiled_alone(folder: Path) -> bool:
    try:
        found = Compiled.of(folder)
    except ArtifactError:
        return False
    if found is None:
        return False
    known = {COMPILED, MANIFEST, IR, IR_WEIGHTS, BAKED_RIG, *(blob_name(stage) for stage in found.parts)}
    return {path.name for path in folder.iterdir()} <= known


def refuse_choices(compiled: Compiled, folder: Path, device: str | None, asked: Mapping[str, Any]) -> None:
    """Refuse to run a compiled artifact otherwise than it was compiled.

    Raises:
        DeviceError: another device, or a setting, is asked for.
    """
    others = [name for name, value in asked.items() if value is not None]
    if device is not None and device != compiled.device:
        raise DeviceError(
            f"{folder} was compiled for {compiled.device}, and device={device} is asked for: compile for that, or run "
            "the artifact that it was compiled from"
        )
    if others:
        raise DeviceError(
            f"{folder} is compiled already: {', '.join(others)} cannot be chosen any more: leave out, or compile again"
        )
