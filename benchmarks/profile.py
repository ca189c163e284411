"""Where the time of a frame goes, by kind of operator, and how near convolutions come to what this machine can do.

`python -m benchmarks.profile NAME=ARTIFACT...`: artifacts in fp32, as `M0=DIR`, or `"M0 before=DIR"` for one that an
earlier version converted. Times are those of the CPU plugin's own counters, in fp32, the median of some frames; what it
computes ahead of time or in the same step as a neighbour is not listed by it. The peak is the best rate that one large
3x3 convolution and one large matrix product reach on their own, between the frames.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset8 as ops

from benchmarks.frame import inputs_for
from benchmarks.harness import THREADS, save, take_turns
from occvino.artifact import IR, Artifact
from occvino.conversion.macs import by_kind, layers

FRAMES = 9
CONVOLUTIONS, PRODUCTS = {"Convolution", "Deconvolution"}, {"MatMul", "FullyConnected"}
"""As the CPU plugin names what it runs."""
SETTINGS: dict[str, Any] = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}


def counted(artifact: Artifact) -> dict[str, Any]:
    """Milliseconds of a frame by kind of operator, and the rate of its convolutions in GMAC/s."""
    compiled = ov.Core().compile_model(artifact.path / IR, "CPU", {**SETTINGS, "PERF_COUNT": True})
    request, inputs = compiled.create_infer_request(), inputs_for(artifact)
    times: dict[str, list[float]] = defaultdict(list)
    for frame in range(1 + FRAMES):
        request.infer(inputs, share_inputs=True)
        one: dict[str, float] = defaultdict(float)
        for step in request.profiling_info:
            one[step.node_type] += 1e3 * step.real_time.total_seconds()
        if frame:
            for kind, taken in one.items():
                times[kind].append(taken)
    kinds = {kind: statistics.median(taken) for kind, taken in times.items() if max(taken) > 0}
    whole = sum(kinds.values())
    convolutions, products = (
        sum(taken for kind, taken in kinds.items() if kind in names) for names in (CONVOLUTIONS, PRODUCTS)
    )
    macs = by_kind(layers(ov.Core().read_model(artifact.path / IR)))["convolution"].macs
    return {
        "ms": whole,
        "kinds": dict(sorted(kinds.items(), key=lambda item: -item[1])),
        "neither": 1 - (convolutions + products) / whole,
        "gmacs_per_s": macs / convolutions / 1e6,
    }


def peak_rates(rounds: int) -> dict[str, float]:
    """GMAC/s of one large convolution and of one large matrix product."""
    x = ops.parameter([6, 256, 64, 176], np.float32)
    weights = np.random.default_rng(0).standard_normal((256, 256, 3, 3)).astype(np.float32)
    convolution = ov.Model([ops.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1])], [x])
    a = ops.parameter([2048, 2048], np.float32)
    product = ov.Model(
        [ops.matmul(a, np.random.default_rng(1).standard_normal((2048, 2048)).astype(np.float32), False, False)], [a]
    )
    running, macs = {}, {"3x3 convolution": 6 * 64 * 176 * 256 * 256 * 9, "matrix product": 2048**3}
    for name, model in zip(macs, (convolution, product), strict=True):
        request = ov.Core().compile_model(model, "CPU", SETTINGS).create_infer_request()
        request.set_input_tensor(ov.Tensor(np.ones(model.input(0).shape, np.float32)))
        running[name] = request.infer
    return {
        timing.name: macs[timing.name] / timing.best / 1e6 for timing in take_turns(running, rounds=rounds, warmup=2)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="+", metavar="NAME=ARTIFACT")
    options = parser.parse_args()
    given = dict(each.split("=", 1) for each in options.artifacts)
    peaks, found = [peak_rates(5)], {}
    for name, path in given.items():
        found[name] = counted(Artifact.open(Path(path)))
        peaks.append(peak_rates(5))
        print(
            f"{name}: {found[name]['ms']:.0f} ms, neither convolution nor product {found[name]['neither']:.2%}, "
            f"convolutions {found[name]['gmacs_per_s']:.0f} GMAC/s",
            flush=True,
        )
        for kind, taken in found[name]["kinds"].items():
            print(f"  {kind:28}{taken:9.2f} ms {taken / found[name]['ms']:8.2%}")
    best = {kind: max(each[kind] for each in peaks) for kind in peaks[0]}
    print("peak, GMAC/s:", best)
    save("profile", {"rounds": FRAMES, "profile": found, "peak_gmacs_per_s": best})


if __name__ == "__main__":
    main()
