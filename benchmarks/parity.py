"""PyTorch against ONNX and the IR, for each variant and precision, CPU and GPU plugin. `python -m benchmarks.parity`.

Weights are random (seed 0) and the frames are of the scene that ships inside, with those before for a temporal network:
what is measured is the conversion. Peak memory is that of a process that opens the fp32 artifact and runs one frame.
A network too big for the machine is converted for its front camera alone (`--front-camera`), and the result says so.

On the GPU plugin (tests/gpu/README.md) only what is asked for with --gpu is run; M0 takes minutes there.
"""

import argparse
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, peak_memory_of, save
from benchmarks.markdown import named
from occvino.artifact import IR, Artifact
from occvino.conversion import convert
from occvino.conversion.verify import expect, judge
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.rig import Rig
from occvino.images.inputs import ImagesAndRig
from occvino.machine import peak_memory_mib
from occvino.runtime import Pipeline
from occvino.runtime.names import precision_name
from occvino.runtime.npu_rules import check_npu_rules
from occvino.variants import get_variant, variants
from tests.gpu.compare import compare

FRONT = "CAM_FRONT"


def seen(frames: int, front_camera: bool) -> list[ImagesAndRig]:
    """The last frame of the shipped scene and those before it, images and rig, newest first."""
    scene = shipped_scene()
    last = len(scene) - 1
    frames = [(frame.image_files(), frame.rig) for frame in (scene[last], *scene.previous(last, frames - 1))]
    if not front_camera:
        return list(frames)
    # under a name that no variant knows, so that it is converted for this camera alone
    only = [(images[FRONT], rig.select([FRONT]).cameras[0]) for images, rig in frames]
    return [({"FRONT": image}, Rig((replace(camera, name="FRONT"),))) for image, camera in only]


def measure(name: str, folder: Path, gpu_hints: list[str], front_camera: bool) -> dict[str, Any]:
    """Everything about one variant."""
    variant = get_variant(name)
    (frames, rig), *past = seen(variant.frames, front_camera)
    row: dict[str, Any] = {"cameras": len(rig), "cpu": {}, "gpu": {}}
    expected = None
    for precision in ("fp32", "fp16"):
        artifact = convert(
            name, None, folder / f"{name}-{precision}", precision=precision, rig=rig, outputs=("logits",)
        )
        # both precisions come from the same network
        expected = expected or expect(artifact, frames, rig, past=past)
        report = judge(artifact, expected)
        row["cpu"][precision] = report.to_dict()
        print(name, precision, "CPU: labels equal", f"{report.ir_labels:.4%}", report.first_divergence, flush=True)
        if precision == "fp32":
            row["npu_rules"] = check_npu_rules(artifact.path / IR).to_dict()
            row["peak_mib"] = peak_memory_of("benchmarks.parity", "--peak", str(artifact.path))
            print(name, f"peak {row['peak_mib']:.0f} MiB", flush=True)
            for hint in gpu_hints:
                found = compare(artifact, "GPU", hint)
                print(name, found, flush=True)
                row["gpu"][hint] = asdict(found)
    return row


def print_peak(artifact: Artifact) -> None:
    """Open, run one frame, print the high-water mark of memory."""
    (frames, rig), *past = seen(artifact.variant.frames, len(artifact.manifest.cameras) == 1)
    Pipeline(artifact, precision="fp32")(frames, rig, past)
    print(peak_memory_mib())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", help="only this one; repeatable")
    parser.add_argument(
        "--gpu",
        action="append",
        default=[],
        type=precision_name,
        choices=["fp32", "fp16"],
        help="repeatable",
    )
    parser.add_argument("--front-camera", action="store_true", help="one camera in place of six")
    parser.add_argument("--peak", type=Path, help="print the peak memory of running this artifact, and no more")
    options = parser.parse_args()
    if options.peak:
        print_peak(Artifact.open(options.peak))
        return
    stored = RESULTS / "parity.json"
    results = json.loads(stored.read_text())["results"] if stored.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.variant or variants():
            found = measure(name, Path(folder), options.gpu, options.front_camera)
            found["gpu"] = {**named(results.get(name, {}).get("gpu", {})), **found["gpu"]}
            results[name] = found
            save("parity", {"results": results})


if __name__ == "__main__":
    main()
