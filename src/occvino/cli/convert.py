"""The command `occvino convert`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.complete import complete_words
from occvino.cli.console import out, say, steps
from occvino.cli.options import Checkpoint, OptionalRig, VariantName
from occvino.cli.tables import print_quantization
from occvino.errors import OccvinoError, warn
from occvino.geometry.image_transform import parse_crop
from occvino.geometry.rig import Rig
from occvino.images.layout import NUSCENES, ImageInput
from occvino.variants import get_variant


def convert(
    variant: VariantName,
    out_dir: Annotated[Path, typer.Option("--out", help="Artifact folder to write.")],
    checkpoint: Checkpoint = None,
    precision: Annotated[
        str,
        typer.Option(
            autocompletion=complete_words("fp32", "fp16", "int8"),
            help="Precision of the stored weights: fp32 or fp16; or int8 (docs/int8.md).",
        ),
    ] = "fp16",
    rig: OptionalRig = None,
    cameras: Annotated[int | None, typer.Option(help="How many cameras, if not the model's six.")] = None,
    bake_calibration: Annotated[
        Path | None,
        typer.Option(help="Rig to make a constant. The IR is then wrong for any other: 0.1 degree of yaw moves 10 %."),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(metavar="TAP", help="Make this tap an output too, such as logits or depth. Repeatable."),
    ] = None,
    temporal: Annotated[
        str | None,
        typer.Option(help="Form of a temporal model: exact (default) or fast, one frame a call, or batch, all frames."),
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="For int8: nuScenes folder with Occ3D's gts.")] = None,
    calibration_frames: Annotated[
        int | None, typer.Option(help="For int8: frames to calibrate on; default 100.")
    ] = None,
    accuracy_budget: Annotated[float | None, typer.Option(help="For int8: mIoU points to lose; default 0.3.")] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            help="HEIGHTxWIDTH of the raw images that the IR takes and resizes itself; default: that of the rig, else "
            "900x1600. network, which is the default with --device NPU: the IR takes images that are already resized."
        ),
    ] = None,
    image_layout: Annotated[str, typer.Option(help="Layout of the raw images: rgb, bgr or nv12.")] = "rgb",
    crop: Annotated[
        str,
        typer.Option(
            help="Which rows of images too high for the network are cut off: top (as published), middle, or how many "
            "rows of the resized image to cut from its top. For cameras that are not 16:9 (docs/rig.md)."
        ),
    ] = "top",
    pooling: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_words("bag", "columns", "scatter"),
            help="bag: one operator; columns: matrix products and gathers, sized for the rig. Default: columns with "
            "--device NPU, else bag. With --calibration matrices: columns or, for any rig, scatter.",
        ),
    ] = None,
    calibration: Annotated[
        str,
        typer.Option(
            autocompletion=complete_words("plan", "matrices"),
            help="What the IR takes of the cameras: plan, which occvino makes; or matrices, for programs in any "
            "language (docs/contract.md).",
        ),
    ] = "plan",
    device: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_words("NPU"),
            help="NPU: arrange the IR for NPUs (docs/npu.md); it runs anywhere.",
        ),
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Convert without a checkpoint, with random weights.")
    ] = False,
) -> None:
    """Convert a checkpoint to one OpenVINO IR of stock operators.

    Example: occvino convert flashocc-r50-M0 --checkpoint flashocc-r50-M0-256x704.pth --out m0
    """
    if checkpoint and random_weights:
        raise OccvinoError("--checkpoint and --random-weights contradict each other: give one of the two")
    if not checkpoint and not random_weights:
        from occvino.networks.checkpoint import shipped_weights

        checkpoint = shipped_weights(variant)
        if checkpoint is None:
            raise OccvinoError(f"no weights of {variant} ship with occvino: give --checkpoint FILE or --random-weights")
        say(f"weights: {checkpoint.name}, which ship with occvino")
    if rig and bake_calibration:
        raise OccvinoError("--rig and --bake-calibration both name a rig: give one of the two")
    source = bake_calibration or rig
    loaded = Rig.load(source) if source else None
    if device and image_size is None and image_layout == "rgb":
        image_size = "network"
    takes = _image_input(image_size, image_layout, loaded)
    if device and takes:
        warn(
            "an NPU computes in fp16, which rounds the weights that raw images are resized with: images will be some "
            "grey levels off, and it takes longer than on the host: --image-size network is the default for it"
        )
    from occvino.conversion import convert as run

    with steps() as progress:
        artifact = run(
            variant,
            checkpoint,
            out_dir,
            precision=precision,  # type: ignore[arg-type]  # checked by convert
            rig=loaded,
            cameras=cameras,
            bake_calibration=bake_calibration is not None,
            outputs=tuple(output or ()),
            temporal=temporal or ("exact" if get_variant(variant).frames > 1 else "batch"),  # type: ignore[arg-type]
            dataset=dataset,
            calibration_frames=calibration_frames,
            accuracy_budget=accuracy_budget,
            image_input=takes,
            crop=parse_crop(crop),
            pooling=pooling,  # type: ignore[arg-type]  # checked by convert
            calibration=calibration,  # type: ignore[arg-type]  # checked by convert
            device=device,
            progress=progress,
        )
    if artifact.manifest.quantization:
        print_quantization(out, artifact.manifest.quantization)
    images = f"raw images of {takes}" if takes else "images resized by Pillow"
    say(f"wrote {artifact.path}: {artifact.manifest.variant}, {artifact.manifest.precision} weights, takes {images}")
    say(f"prove it: occvino verify {artifact.path} --images DIR --rig RIG.json")


def _image_input(size: str | None, layout: str, rig: Rig | None) -> ImageInput | None:
    """Raw images that the IR takes: as asked for, else the rig's, else nuScenes'; None if it takes resized ones."""
    if size and size != "network":
        return ImageInput.parse(size, layout)
    cameras = [(camera.height, camera.width) for camera in rig.cameras] if rig else [NUSCENES]
    found = None if size else ImageInput.of_sizes(cameras, layout)
    if found is None and layout != "rgb":
        raise OccvinoError(f"--image-layout {layout} needs raw images of one size: give --image-size HEIGHTxWIDTH")
    if found is None and not size:
        warn("the rig's cameras have several sizes: Pillow will resize their images on the host")
    return found
