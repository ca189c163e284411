"""The section of docs/benchmarks.md about peers."""

from typing import Any

from benchmarks.markdown import heading, percent, table, timings


def peers_section(found: dict[str, Any]) -> str:
    """Our three precisions against the best form of each peer."""
    rows: list[list[str]] = []
    for model, each in found["found"].items():
        for name, share in each["labels_equal"].items():
            miou = f"{each['miou'][name]['miou']:.2%}" if "miou" in each else "random weights"
            rows.append([model, name, percent(share), miou, f"{each['peak_memory_mib'][name]:.0f}"])
    rounds = " to ".join(str(count) for count in sorted({each["rounds"] for each in found["found"].values()}))
    return "\n".join(
        [
            heading("Against the best form of every peer", {**found, "rounds": rounds}).replace(
                "peers`", "peers --calibration train1 --held-out held-out --work work`"
            ),
            "The same weights and frames. Both int8 networks were calibrated on the same frames; ONNX Runtime's is its own static",
            "quantisation (QDQ, per channel, MinMax). What is computed is checked: labels of one frame against torch.compile in",
            "f32, and mIoU of 100 held-out frames under the camera mask for the model that has learnt something. Peak memory",
            "is that of a process that opens one and runs two frames; by hand, 77 MiB of ours are Python, libraries and inputs.\n",
            timings(found) + "\n",
            table(["model", "contestant", "labels equal", "mIoU", "peak memory, MiB"], rows) + "\n",
        ]
    )
