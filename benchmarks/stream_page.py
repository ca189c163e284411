"""Sections of docs/benchmarks.md and docs/temporal.md on streams and on INT8."""

from typing import Any

from benchmarks.markdown import heading, load, of_which_weights, percent, table, timings


def temporal(document: dict[str, Any]) -> str:
    """Temporal models in their three forms (docs/temporal.md)."""
    rows = [
        [f"`{name}`", form, str(index + 1), percent(frame["labels"]), f"{frame['logits']:.0e}"]
        for name, forms in document["apart"].items()
        for form, frames in forms.items()
        for index, frame in enumerate(frames)
    ]
    title = "Temporal models: all frames at once against a stream"
    return "\n".join(
        [
            heading(title, document).replace("temporal`", "temporal VARIANT DIR`"),
            "Images in memory to labels, one frame, resizing and plan included; over the scene that ships inside, in",
            "fp32. Weights are random.\n",
            timings(document) + "\n",
            "How far each frame of that scene is from all frames at once on the same device. Logits: the largest",
            "difference over their standard deviation.\n",
            table(["variant", "form", "frame", "labels equal", "logits off by"], rows) + "\n",
        ]
    )


def fast_table() -> str:
    """What the fast form of a trained model costs, scene by scene."""
    found = load("fast")
    of, rows = found["measured_on"], []
    for kind, scenes in found["drives"].items():
        reference = scenes["forms"]["exact"]["miou"]
        for form, row in scenes["forms"].items():
            change = f"{100 * (row['miou'] - reference):+.4f}"
            moved = scenes["moved_mm"]
            cells = [f"{row['miou']:.2%}", change, f"{row['labels_equal']:.4%}"]
            rows.append(
                [f"{kind} ({scenes['frames']} frames)", f"{moved['mean']:.0f} ({moved['largest']:.0f})", form, *cells]
            )
    head = ["scenes", "told elsewhere by, mm (most)", "form", "mIoU", "points against exact", "labels as in batch"]
    return "\n".join(
        [
            f"`{found['command']} --train train1 --work work --steps {found['steps']} --drives {of['drives']} --frames {of['frames']}`",
            f"with {found['training_frames']} training frames. A volume that is the same for every frame scores",
            f"{found['constant_miou']:.2%} on the ordinary scenes.{of_which_weights(found)}\n",
            table(head, rows),
        ]
    )


def soak(found: dict[str, Any]) -> str:
    """A long stream: time against a plain loop, and memory."""
    run = found["soak"]
    return "\n".join(
        [
            heading("A long stream", found).replace("soak`", "soak ARTIFACT`"),
            f"occvino-nano, {found['running']}. Frames of the shipped scene, each with a rig and so a plan of its own.\n",
            "Where the network has both cores there is nothing left to overlap with; where it leaves one, images and plans",
            "of later frames are made on that one meanwhile.\n",
            timings(found) + "\n",
            f"{run['frames']} frames in a stream, {run['failures']} of them failing on purpose: resident memory grew by",
            f"{run['growth_mib_per_1000']:.1f} MiB per 1,000 frames after the first 100, and moved within",
            f"{run['spread_mib']:.0f} MiB.\n",
            "![Resident memory over the frames of the stream](soak.png)\n",
        ]
    )


def int8_section(found: dict[str, Any]) -> str:
    """What INT8 costs and gains, and where the multiply-accumulates run."""
    reference = found["accuracy"]["fp32 IR"]["miou"]
    accuracy = [
        [name, f"{row['miou']:.2%}", f"{100 * (row['miou'] - reference):+.2f}", percent(row["labels_equal"])]
        for name, row in found["accuracy"].items()
    ]
    shares = [
        [
            model,
            kind,
            str(share["layers"]),
            str(share["int8_layers"]),
            f"{share['macs'] / 1e9:.2f}",
            f"{share['int8']:.1%}",
        ]
        for model, quantized in found["quantization"].items()
        for kind, share in quantized["macs"].items()
    ]
    refused = found.get("nncf_refused")
    alone = f" NNCF's defaults did not compile on this CPU (`{refused}`)." if refused else ""
    head = ["model", "kind of layer", "layers", "in int8", "GMAC", "in int8 "]
    return "\n".join(
        [
            heading("INT8", found).replace("int8`", "int8 --calibration train1 --held-out held-out --work work`"),
            f"occvino-nano on {found['held_out_frames']} held-out frames of scenes that neither calibrated nor judged.",
            f"M0 has random weights and was timed over 5 rounds.{alone}\n",
            table(["form", "mIoU", "points", "labels equal to fp32"], accuracy) + "\n",
            timings(found) + "\n",
            table(head, shares) + "\n",
        ]
    )
