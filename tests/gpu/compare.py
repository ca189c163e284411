"""The same artifact on the CPU plugin and on the GPU plugin: `python -m tests.gpu.compare ARTIFACT [--hint fp32]`."""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occvino.artifact import Artifact
from occvino.conversion.tolerances import Error
from tests.gpu import fakegpu
from tests.gpu.frames import run


class GpuPluginError(RuntimeError):
    """The GPU plugin would not have the model, or failed to run it."""


@dataclass(frozen=True)
class Comparison:
    """GPU plugin against CPU plugin in fp32. `error` is of the logits, relative to their standard deviation."""

    device: str
    hint: str
    ran_on: tuple[str, ...]
    max_error: float
    mean_error: float
    labels: float
    compile_s: float
    infer_s: float
    p999_error: float

    def __str__(self) -> str:
        return (
            f"{self.device} ({' + '.join(self.ran_on)}), hint {self.hint}: logits max {self.max_error:.1e}, mean "
            f"{self.mean_error:.1e} of their deviation; labels equal {self.labels:.4%}; "
            f"compiled in {self.compile_s:.0f} s, ran in {self.infer_s:.0f} s (not a measure of a GPU)"
        )


def compare(artifact: Artifact, device: str = "GPU", hint: str = "fp32") -> Comparison:
    """Run both; the artifact must give logits. A stream is run over three frames, and all of them are compared.

    Raises:
        GpuPluginError: it does not compile or run there; with the plugin's own words.
    """
    if "logits" not in artifact.manifest.outputs:
        raise SystemExit("convert with --output logits: labels alone say little about how far off something is")
    expected = run(artifact.path, "CPU", "fp32")
    with tempfile.TemporaryDirectory() as folder:
        script, out = Path(__file__).with_name("run_on_gpu.py"), f"{folder}/out.npz"
        arguments = [fakegpu.build_layer(Path(folder)), artifact.path, out, device, hint]
        done = subprocess.run([sys.executable, script, *arguments], check=False, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise GpuPluginError(f"{artifact.path} on {device}, hint {hint}: {done.stderr.strip()[-2000:]}")
        with np.load(out) as stored:
            found = {name: stored[name] for name in stored.files}
    error = Error.between(found["logits"], expected["logits"])
    return Comparison(
        device,
        hint,
        tuple(str(name) for name in found["devices"]),
        error.maximum,
        error.mean,
        float((found["labels"] == expected["labels"]).mean()),
        *(float(value) for value in found["seconds"]),
        p999_error=error.p999,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--device", default="GPU")
    parser.add_argument("--hint", default="fp32", choices=["fp32", "fp16"])
    options = parser.parse_args()
    print(compare(Artifact.open(options.artifact), options.device, options.hint))
