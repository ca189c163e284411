"""The artifact: a folder that holds one network ready to run, and says what it is.

model.xml, model.bin   the IR, stock operators only
model.onnx             the same network in standard ONNX, which the IR was made from
rig.json               only if the calibration was baked in: the rig it was baked for
occvino.json           the manifest: variant, classes, grid, inputs, hashes, versions, measured parity
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from occvino.cameras import Rig
from occvino.errors import ArtifactError
from occvino.files import sha256, write_text
from occvino.variants import Variant, get_variant

MANIFEST = "occvino.json"
IR = "model.xml"
IR_WEIGHTS = "model.bin"
ONNX = "model.onnx"
BAKED_RIG = "rig.json"
FORMAT = 1
"""Of the manifest. A reader refuses a higher one."""


@dataclass(frozen=True)
class Manifest:
    """What `occvino.json` says. `files` maps each other file of the folder to its sha256."""

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
    parity: Mapping[str, Any] | None = None
    format: int = FORMAT

    def to_json(self) -> str:
        """As it is written to disk."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: Path) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: not JSON, a field is missing, or a newer format than this release knows.
        """
        try:
            fields = json.loads(text)
            if fields["format"] > FORMAT:
                raise ArtifactError(
                    f"{where} has format {fields['format']}, this occvino reads up to {FORMAT}: pip install -U occvino"
                )
            for name in ("cameras", "class_names", "input_size", "outputs"):
                fields[name] = tuple(fields[name])
            return cls(**fields)
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ArtifactError(f"{where} is not a manifest of occvino: {error}") from error


@dataclass(frozen=True)
class Artifact:
    """An artifact folder on disk that was found complete."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | Path) -> "Artifact":
        """Read the manifest and check every file against its hash.

        Raises:
            ArtifactError: no such folder, or a file is missing or not the one that was written.
        """
        folder = Path(path)
        if not (folder / MANIFEST).is_file():
            raise ArtifactError(f"{folder} is not an artifact: it holds no {MANIFEST}. Make one with `occvino convert`")
        manifest = Manifest.from_json((folder / MANIFEST).read_text(encoding="utf-8"), folder / MANIFEST)
        for name, expected in manifest.files.items():
            file = folder / name
            if not file.is_file():
                raise ArtifactError(f"{file} is missing: copy the whole folder, or convert again")
            found = sha256(file)
            if found != expected:
                raise ArtifactError(
                    f"{file} is not the file that was converted: sha256 {found[:12]}..., the manifest says "
                    f"{expected[:12]}...: convert again"
                )
        return cls(folder, manifest)

    @property
    def variant(self) -> Variant:
        """The variant it was converted from."""
        return get_variant(self.manifest.variant)

    @property
    def baked_rig(self) -> Rig | None:
        """The rig whose calibration is a constant of the IR, if there is one."""
        return Rig.load(self.path / BAKED_RIG) if self.manifest.baked_calibration else None

    def match(self, rig: Rig) -> Rig:
        """The rig with its cameras in the order in which the network takes them.

        Raises:
            ArtifactError: the rig has other cameras, or, for a baked artifact, another calibration.
        """
        names = self.manifest.cameras
        if sorted(rig.names) != sorted(names):
            raise ArtifactError(
                f"the rig has cameras {', '.join(rig.names)}; {self.path} was converted for {', '.join(names)}: "
                "rename them, or convert again with --rig"
            )
        rig = rig.select(names)
        baked = self.baked_rig
        if baked and rig.calibration(self.variant).fingerprint() != baked.calibration(self.variant).fingerprint():
            raise ArtifactError(
                f"the calibration of {self.path} is baked in and this rig has another: leave --rig out to run with the "
                "baked one, or convert again without --bake-calibration"
            )
        return rig

    def with_parity(self, parity: Mapping[str, Any]) -> "Artifact":
        """Record what `verify` measured, in the manifest on disk too."""
        manifest = replace(self.manifest, parity=parity)
        write_text(self.path / MANIFEST, manifest.to_json())
        return Artifact(self.path, manifest)
