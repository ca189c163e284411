"""Options that several commands share, and how what they were given is read."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.complete import complete_device, complete_variant, complete_words
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig
from occvino.runtime.names import COMPUTED, computed_precision

ArtifactPath = Annotated[Path, typer.Argument(help="Folder made by `occvino convert`.")]
Checkpoint = Annotated[Path | None, typer.Option(help="Weights: mmcv .pth, state dict or .safetensors.")]
OptionalRig = Annotated[Path | None, typer.Option(help="Rig file: calibration as JSON (docs/rig.md).")]
VariantName = Annotated[
    str, typer.Argument(autocompletion=complete_variant, help="Model name, as `occvino info` lists them.")
]
Device = Annotated[
    str,
    typer.Option(autocompletion=complete_device, help="OpenVINO device: CPU, GPU, NPU, AUTO, HETERO:GPU,CPU."),
]
OptionalDevice = Annotated[
    str | None,
    typer.Option(
        autocompletion=complete_device,
        help="OpenVINO device: CPU (default), GPU, NPU, AUTO, HETERO:GPU,CPU; of a compiled artifact its own.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        autocompletion=complete_words(*COMPUTED, "default"),
        help="What the device computes in: fp32, fp16, bf16, or default for its own choice.",
    ),
]
StageDevices = Annotated[
    list[str] | None,
    typer.Option(
        "--stage",
        metavar="NAME=DEVICE",
        help="A device for encoder, pool or trunk, as pool=GPU: give all three, and no --device.",
    ),
]
Hint = Annotated[
    str | None,
    typer.Option(autocompletion=complete_words("latency", "throughput"), help="latency or throughput."),
]
Streams = Annotated[int | None, typer.Option(help="Inferences that run side by side on a device.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for compiled models.")]
MappingName = Annotated[
    str, typer.Option("--mapping", help="Of a panoptic model's centres: official, two bugs included, or corrected.")
]
Exif = Annotated[
    str,
    typer.Option(help="Of images that EXIF says are stored turned: apply, ignore, or warn and use them as stored."),
]
Past = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR", help="Images and rig.json of a past frame, for a temporal model. Repeatable, newest first."
    ),
]
Undistort = Annotated[
    bool,
    typer.Option(
        "--undistort",
        help="Straighten the images of cameras with a lens first, instead of a plan that follows the lens.",
    ),
]
HashImages = Annotated[
    bool,
    typer.Option("--hash-images", help="Know images of an earlier run by what is in them, not by size and time."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


Version = Annotated[str | None, typer.Option(help="Folder of tables, as v1.0-mini, if there are several.")]
Infos = Annotated[
    Path | None,
    typer.Option(help="Take the frames from this info file (.pkl) of FlashOCC, BEVDet or mmdet3d, not from tables."),
]


def open_dataset(root: Path, version: str | None, infos: Path | None) -> NuScenes:
    """The data set that `--dataset`, `--version` and `--infos` name.

    Raises:
        OccvinoError: it cannot be read, or there are two sources of frames.
    """
    if infos is None:
        return NuScenes(root, version)
    if version is not None:
        raise OccvinoError(f"--version {version} chooses tables and --infos {infos} takes their place: give one")
    return NuScenes.from_infos(infos, root)


def hint_of(precision: str) -> str | None:
    """What `--precision` asks the device for: nothing, where it is "default".

    Raises:
        DeviceError: a device cannot be asked for that.
    """
    return None if precision.lower() == "default" else computed_precision(precision)


def stages_of(given: list[str] | None) -> dict[str, str] | None:
    """["encoder=CPU", ...] by name; None if there is none.

    Raises:
        OccvinoError: one is not NAME=DEVICE, or a name is given twice.
    """
    pairs = [pair.partition("=") for pair in given or ()]
    if any(not name or not device for name, _, device in pairs) or len({name for name, *_ in pairs}) < len(pairs):
        raise OccvinoError(f"--stage {' --stage '.join(given or ())}: expected NAME=DEVICE, each name once")
    return {name: device for name, _, device in pairs} or None


def past_frames(folders: list[Path] | None) -> list[tuple[Path, Rig]]:
    """The past frames that `--past` names: the folder of each, and the rig in it.

    Raises:
        OccvinoError: a rig cannot be read.
    """
    return [(folder, Rig.load(folder / "rig.json")) for folder in folders or ()]
