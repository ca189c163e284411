"""The artifact: a folder that holds one network ready to run, and says what it is.

model.xml, model.bin   the IR, stock operators only
model.onnx             the same network in standard ONNX, which the IR was made from
rig.json               only if the calibration was baked in: the rig it was baked for
occvino.json           the manifest: variant, classes, grid, inputs, hashes, versions, measured parity
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from occvino.errors import ArtifactError
from occvino.files import OutputError, from_json, sha256, write_text
from occvino.geometry.columns import ColumnSizes
from occvino.geometry.matrices import Matrices
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import Temporal
from occvino.images.layout import ImageInput
from occvino.variant import Crop, Variant
from occvino.variants import get_variant

MANIFEST = "occvino.json"
IR = "model.xml"
IR_WEIGHTS = "model.bin"
ONNX = "model.onnx"
BAKED_RIG = "rig.json"
FORMAT = 2
"""Of the manifest. A reader refuses any other."""


@dataclass(frozen=True)
class Manifest:
    """What `occvino.json` says. `files` maps each other file of the folder to its sha256.

    `temporal` is the form of a model of several frames (see `geometry.temporal`); a model of one frame has "batch".
    `quantization` says of an int8 artifact what stayed in floating point, why, and what it cost (docs/int8.md).
    `image_input`: size and layout of the raw images that the IR takes; None if it takes them resized to `input_size`.
    `crop` is that of the variant (see `Variant.crop`). The published one is not written down, so that artifacts of
    releases before it existed, and readers of that time, know it too.
    `columns`: how many places the column form of pooling has (`bev_pool_columns`); None for bags, then not written.
    `matrices`: what is fixed in an IR that takes calibration as matrices; None for a plan, then not written.
    """

    variant: str
    precision: str
    cameras: tuple[str, ...]
    class_names: tuple[str, ...]
    grid: Mapping[str, tuple[float, float, float]]
    input_size: tuple[int, int]
    outputs: tuple[str, ...]
    baked_calibration: bool
    weights: Mapping[str, Any]
    versions: Mapping[str, str]
    files: Mapping[str, str]
    temporal: Temporal = "batch"
    quantization: Mapping[str, Any] | None = None
    image_input: ImageInput | None = None
    parity: Mapping[str, Any] | None = None
    crop: Crop = "top"
    columns: ColumnSizes | None = None
    matrices: Matrices | None = None
    format: int = FORMAT

    def to_json(self) -> str:
        """As it is written to disk, with a seal over everything but the measured parity."""
        return json.dumps({**self._written(), "seal": self._seal()}, indent=1, allow_nan=False) + "\n"

    def _written(self) -> dict[str, Any]:
        written = asdict(self)
        if self.crop == "top":
            del written["crop"]
        if self.columns is None:
            del written["columns"]
        if self.matrices is None:
            del written["matrices"]
        return written

    def _seal(self) -> str:
        sealed = {name: value for name, value in self._written().items() if name != "parity"}
        return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_json(cls, text: bytes, where: Path) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: not JSON, a field is missing or was altered, or another format than this release knows.
        """
        try:
            fields = from_json(text)
            if fields["format"] > FORMAT:
                raise ArtifactError(
                    f"{where} has format {fields['format']}, this occvino reads up to {FORMAT}: pip install -U occvino"
                )
            if fields["format"] < FORMAT:
                raise ArtifactError(f"{where} has format {fields['format']}, of an older occvino: convert again")
            for name in ("cameras", "class_names", "input_size", "outputs"):
                fields[name] = tuple(fields[name])
            fields["image_input"] = ImageInput.from_json(fields["image_input"])
            fields["columns"] = ColumnSizes.from_json(fields.get("columns"))
            fields["matrices"] = Matrices.from_json(fields.get("matrices"))
            seal = fields.pop("seal")
            manifest = cls(**fields)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{where} is not a manifest of occvino: {error}") from error
        if manifest._seal() != seal:
            raise ArtifactError(f"{where} was altered after it was written: convert again")
        return manifest


@dataclass(frozen=True)
class Artifact:
    """An artifact folder on disk that was found complete."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | Path) -> "Artifact":
        """Read the manifest and check what running needs against its hashes; the ONNX file may stay behind.

        Raises:
            ArtifactError: no such folder, or a file is missing or not the one that was written.
        """
        folder = Path(path)
        artifact = cls(folder, _manifest_of(folder))
        for name in (IR, IR_WEIGHTS, *([BAKED_RIG] if artifact.manifest.baked_calibration else [])):
            artifact.checked(name)
        return artifact

    def checked(self, name: str) -> Path:
        """The path of a file of the folder, once it was found to be the one that was written.

        Raises:
            ArtifactError: it is missing, or not that one.
        """
        file, expected = self.path / name, self.manifest.files[name]
        if not file.is_file():
            raise ArtifactError(f"{file} is missing: copy the whole folder, or convert again")
        found = sha256(file)
        if found != expected:
            raise ArtifactError(
                f"{file} is not the file that was converted: sha256 {found[:12]}..., the manifest says "
                f"{expected[:12]}...: convert again"
            )
        return file

    @property
    def variant(self) -> Variant:
        """The variant it was converted from, with the crop that it was converted with."""
        return replace(get_variant(self.manifest.variant), crop=self.manifest.crop)

    @cached_property
    def baked_rig(self) -> Rig | None:
        """The rig whose calibration is a constant of the IR, if there is one."""
        return Rig.load(self.path / BAKED_RIG) if self.manifest.baked_calibration else None

    def match(self, rig: Rig) -> Rig:
        """The rig with its cameras in the order in which the network takes them.

        Raises:
            ArtifactError: the rig has other cameras, or, for a baked artifact, another calibration; or a lens, where
                the network takes matrices.
        """
        names = self.manifest.cameras
        if sorted(rig.names) != sorted(names):
            raise ArtifactError(
                f"the rig has cameras {', '.join(rig.names)}; {self.path} was converted for {', '.join(names)}: "
                "rename them, or convert again with --rig"
            )
        rig = rig.select(names)
        bent = [camera.name for camera in rig.cameras if camera.lens]
        if bent and self.manifest.matrices:
            raise ArtifactError(
                f"{self.path} takes calibration as matrices, and a matrix knows no lens, which {', '.join(bent)} "
                "have: undistort the images (--undistort, or Pipeline(undistort=True)), or convert with --calibration "
                "plan"
            )
        baked = self.baked_rig
        if baked and rig.calibration(self.variant).fingerprint() != baked.calibration(self.variant).fingerprint():
            raise ArtifactError(
                f"the calibration of {self.path} is baked in and this rig has another: leave --rig out to run with the "
                "baked one, or convert again without --bake-calibration"
            )
        return rig

    def with_parity(self, parity: Mapping[str, Any]) -> "Artifact":
        """Record what `verify` measured, in the manifest on disk too.

        Raises:
            ArtifactError: the folder was converted again in the meantime.
            OutputError: the folder cannot be written to.
        """
        if _manifest_of(self.path).files != self.manifest.files:
            raise ArtifactError(f"{self.path} was converted again while it was verified: verify it again")
        manifest = replace(self.manifest, parity=parity)
        write_text(self.path / MANIFEST, manifest.to_json())
        return Artifact(self.path, manifest)


def may_be_replaced(folder: Path) -> bool:
    """Whether a folder holds an artifact and nothing else, so that converting again loses nothing of the user's."""
    try:
        manifest = Manifest.from_json((folder / MANIFEST).read_bytes(), folder / MANIFEST)
    except (OSError, ArtifactError):
        return False
    return {path.name for path in folder.iterdir()} <= {MANIFEST, *manifest.files}


def refuse_inside(out: Path) -> None:
    """Refuse to write anything else to an artifact.

    Raises:
        OutputError: `out` is an artifact, or in one.
    """
    for folder in (out.resolve(), *out.resolve().parents):
        if (folder / MANIFEST).is_file():
            raise OutputError(f"{out} is in the artifact {folder}, which holds nothing else: choose another output")


def _manifest_of(folder: Path) -> Manifest:
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(f"{folder} is not an artifact: it holds no {MANIFEST}. Make one with `occvino convert`")
    return Manifest.from_json((folder / MANIFEST).read_bytes(), folder / MANIFEST)
