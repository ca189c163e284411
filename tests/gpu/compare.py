"""The same artifact on the CPU plugin and on the GPU plugin: `python -m tests.gpu.compare ARTIFACT [--hint f32]`."""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from occvino.artifact import Artifact
from occvino.datasets.shipped import shipped_drive
from occvino.geometry import joint_calibration, network_inputs
from occvino.preprocess import images_of
from tests.gpu import fakegpu


@dataclass(frozen=True)
class Comparison:
    """GPU plugin against CPU plugin in f32. `error` is of the logits, relative to their standard deviation."""

    device: str
    hint: str
    ran_on: tuple[str, ...]
    max_error: float
    mean_error: float
    labels: float
    compile_s: float
    infer_s: float

    def __str__(self) -> str:
        return (
            f"{self.device} ({' + '.join(self.ran_on)}), hint {self.hint}: logits max {self.max_error:.1e}, mean "
            f"{self.mean_error:.1e} of their deviation; labels equal {self.labels:.4%}; "
            f"compiled in {self.compile_s:.0f} s, ran in {self.infer_s:.0f} s (not a measure of a GPU)"
        )


def inputs_of(artifact: Artifact) -> dict[str, np.ndarray]:
    """Of the last frame of the shipped drive, and those before it for a temporal network."""
    drive, variant = shipped_drive(), artifact.variant
    last = len(drive) - 1
    frames = (drive[last], *drive.previous(last, variant.frames - 1))
    rigs = [artifact.match(frame.rig) for frame in frames]
    pictures = images_of([(frame.pictures(), frame.rig) for frame in frames], rigs, variant)
    return {"images": pictures, **network_inputs(joint_calibration(rigs, variant), variant)}


def compare(artifact: Artifact, device: str = "GPU", hint: str = "f32") -> Comparison:
    """Run both; the artifact must give logits."""
    if "logits" not in artifact.manifest.outputs:
        raise SystemExit("convert with --output logits: labels alone say little about how far off something is")
    inputs = inputs_of(artifact)
    xml = artifact.path / "model.xml"
    expected = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/in.npz", **inputs)
        script = Path(__file__).with_name("run_on_gpu.py")
        layer = fakegpu.build_layer(Path(folder))
        arguments = [layer, artifact.path, f"{folder}/in.npz", f"{folder}/out.npz", device, hint]
        subprocess.run([sys.executable, script, *arguments], check=True)
        with np.load(f"{folder}/out.npz") as stored:
            found = {name: stored[name] for name in stored.files}
    error = np.abs(found["logits"].astype(np.float64) - expected["logits"]) / expected["logits"].std()
    return Comparison(
        device,
        hint,
        tuple(str(name) for name in found["devices"]),
        float(error.max()),
        float(error.mean()),
        float((found["labels"] == expected["labels"]).mean()),
        *(float(value) for value in found["seconds"]),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--device", default="GPU")
    parser.add_argument("--hint", default="f32", choices=["f32", "f16"])
    options = parser.parse_args()
    print(compare(Artifact.open(options.artifact), options.device, options.hint))
