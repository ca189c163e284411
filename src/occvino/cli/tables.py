"""How results look on a terminal."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from occvino.artifact import Artifact, Manifest
from occvino.cli.console import say
from occvino.errors import VariantError
from occvino.geometry.inputs import input_names
from occvino.geometry.temporal import state_shapes, state_slots
from occvino.variant import Crop
from occvino.variants import get_variant, variants

if TYPE_CHECKING:
    from occvino.conversion.half import HalfRun
    from occvino.conversion.report import Report
    from occvino.evaluation.score import Score
    from occvino.networks.fit import Identity
    from occvino.runtime.npu_compiler import NpuReport
    from occvino.runtime.npu_rules import RuleCheck


def print_verification(console: Console, result: "Report") -> None:
    """The taps side by side, the labels, and the verdict."""
    table = Table(title="Error against PyTorch, relative to each tap's standard deviation", title_justify="left")
    table.add_column("tap")
    table.add_column("scale", justify="right")
    for name in ("ONNX mean", "99.9 %", "max", "IR mean", "99.9 %", "max"):
        table.add_column(name, justify="right")
    table.add_column("")
    for tap in result.taps:
        good = tap.onnx_ok and tap.ir_ok
        errors = (error for form in (tap.onnx, tap.ir) for error in (form.mean, form.p999, form.maximum))
        table.add_row(
            tap.name,
            f"{tap.scale:.2g}",
            *(f"{error:.0e}" for error in errors),
            "[green]ok[/]" if good else "[red]off[/]",
        )
    agreement = f"labels equal to PyTorch's: ONNX {result.onnx_labels:.4%}, IR {result.ir_labels:.4%}"
    console.print(table)
    if result.resized:
        images = result.resized
        console.print(
            f"images that the IR resized, against Pillow's: {images.equal:.4%} equal, at most {images.levels} "
            "grey levels off; torch and ONNX were given those of the IR",
            highlight=False,
        )
    console.print(f"{agreement}; frustum points in the grid: {result.points_kept:.0%}", highlight=False)
    console.print(f"of each camera: {points_words(result.points)}; usual: {result.points_usual:.0%}", highlight=False)
    if result.batch_labels is not None:
        console.print(
            f"stream ({result.temporal}): the IR's labels equal to PyTorch's of all frames at once: "
            f"{result.batch_labels:.4%}",
            highlight=False,
        )
    if result.half:
        _print_half(console, result.half)
    console.print(f"IR ran on {result.running}", highlight=False)
    if result.as_run:
        console.print(str(result.as_run), highlight=False, soft_wrap=True)
    if result.ok:
        console.print("[bold green]agrees[/]: every tap and the labels are within tolerance")
    elif result.first_divergence:
        console.print(f"[bold red]parts from PyTorch first at {result.first_divergence}[/]", soft_wrap=True)
    else:
        console.print(f"[bold yellow]proves little[/]: {result.proves_little}", soft_wrap=True, highlight=False)


def _print_half(console: Console, runs: "Sequence[HalfRun]") -> None:
    table = Table(title="PyTorch in emulated f16, against itself in f32", title_justify="left")
    table.add_column("tap")
    for run in runs:
        table.add_column(f"bags add in {run.sums}: mean", justify="right")
        table.add_column("99.9 %", justify="right")
    for name in runs[0].taps:
        errors = [run.taps[name] for run in runs]
        table.add_row(name, *(f"{value:.0e}" for error in errors for value in (error.mean, error.p999)))
    table.add_row("labels equal", *(cell for run in runs for cell in (f"{run.labels:.4%}", "")))
    console.print(table)
    worst = max(runs, key=lambda run: run.peak)
    verdict = "f16 ends at 65504" if worst.fits else "[red]too large for f16[/], which ends at 65504"
    console.print(f"largest value {worst.peak:.4g}, of {escape(worst.peak_at)}: {verdict}", highlight=False)


def points_words(points: Mapping[str, float]) -> str:
    """The share of points in the grid of each camera, in words."""
    return ", ".join(f"{name} {share:.0%}" for name, share in points.items())


def print_score(console: Console, score: "Score", title: str, *, baked: bool) -> None:
    """IoU of each class and the means."""
    counted = "voxels that a camera sees" if score.masked else "all voxels"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("class")
    table.add_column("IoU", justify="right")
    table.add_column(f"true voxels of {score.frames} frames", justify="right")
    for name, iou in score.per_class.items():
        table.add_row(name, "-" if iou is None else f"{iou:.2%}", f"{score.voxels[name]:,}")
    console.print(table)
    console.print(f"[bold]mIoU {score.miou:.2%}[/] ({counted}; free left out)", highlight=False)
    if score.rays:
        shown = (f"{name} {'-' if value is None else f'{value:.2%}'}" for name, value in score.rays.items())
        console.print(", ".join(shown), highlight=False)
    if score.equal_labels is not None:
        console.print(f"labels equal to the other run's: {score.equal_labels:.4%}", highlight=False)
    if baked:
        console.print("[bold yellow]The calibration is baked in[/]: the data set's rigs were not used", highlight=False)


def print_identity(found: "Identity") -> None:
    """What a checkpoint is, and which variants it fits."""
    place = f"under {found.wrapper!r}" if found.wrapper else "at the top"
    say(f"{found.path}: {found.container}, weights {place}{f', keys behind {found.prefix!r}' if found.prefix else ''}")
    say(f"{found.parameters:,} parameters, {', '.join(found.types) or 'no type'}")
    for remark in found.remarks:
        say(f"note: {remark}")
    if found.fits:
        say(f"fits {', '.join(found.fits)}")
    if found.nearest:
        name, wrong = found.nearest
        kinds = ", ".join(f"{len(keys)} {kind} (first {keys[0]})" for kind, keys in wrong.items())
        say(f"fits no variant; the nearest is {name}: {kinds}")


FIGURES = Path(__file__).parents[1] / "assets" / "variants.json"
"""Of every variant: parameters and multiply-accumulates (`python -m benchmarks.sizes`), peak memory and what was
verified (`python -m benchmarks.page`, from the results of benchmarks.parity and tests/golden/replay.py)."""


def variant_rows() -> list[dict[str, Any]]:
    """One row a model, plain values."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    for name in variants():
        variant = get_variant(name)
        published = variant.published
        if name not in figures:
            raise VariantError(f"{FIGURES.name} has no figures of {name}: run python -m benchmarks.sizes")
        rows.append(
            {
                "name": name,
                "summary": variant.summary,
                "input": list(variant.input_size),
                "frames": variant.frames,
                "takes": list(input_names(variant)),
                **figures[name],
                "gflops": round(2 * figures[name]["gmacs"], 1),
                "depth_bins": variant.depth_bins,
                "voxels": list(variant.occupancy_grid.shape),
                "published_miou": published.miou if published else None,
                "published_ray_iou": published.ray_iou if published else None,
                "published_ray_pq": published.ray_pq if published else None,
                "published_source": published.source if published else None,
            }
        )
    return rows


def print_variants(console: Console, rows: list[dict[str, Any]]) -> None:
    """The models, two lines each: the name, whole at any width, with its figures, and under it what it is."""
    width = max(len(row["name"]) for row in rows)
    heads = ("frames", "M par.", "GFLOPs", "MiB", "mIoU*")
    _print_columns(console, "name".ljust(width), heads, "underline", "underline")
    for row in rows:
        published = "-" if row["published_miou"] is None else f"{row['published_miou']:.2f}"
        memory = f"{row['peak_mib']:.0f}" if "peak_mib" in row else "-"
        sizes = (str(row["frames"]), f"{row['parameters_millions']:.0f}", f"{row['gflops']:.0f}", memory)
        _print_columns(console, row["name"].ljust(width), (*sizes, published), "bold", "")
        console.print(Padding(Text(row["summary"], style="dim"), (0, 0, 0, 2), expand=False))
    console.print(
        "\nGFLOPs: all frames that the model takes; twice the multiply-accumulates. MiB: measured peak of running the "
        "fp32 IR on a CPU. * published, not measured here. More of one: occvino info NAME",
        highlight=False,
    )


def _print_columns(console: Console, name: str, figures: Sequence[str], *styles: str) -> None:
    """One line, 79 characters with the longest name that there is, which no terminal breaks in the middle."""
    widths = (7, 7, 7, 6, 6)
    cells = "".join(figure.rjust(width) for figure, width in zip(figures, widths, strict=True))
    console.print(Text.assemble(*zip((name, cells), styles, strict=True)), soft_wrap=True)


def print_variant(console: Console, row: dict[str, Any]) -> None:
    """Everything there is to tell about one model."""
    published = [
        f"{title} {row[key]:.2f}"
        for title, key in (("mIoU", "published_miou"), ("RayIoU", "published_ray_iou"), ("RayPQ", "published_ray_pq"))
        if row[key] is not None
    ]
    height, width = row["input"]
    one = ", of the front camera alone" if row.get("cameras") == 1 else ""
    memory = f"{row['peak_mib']:.0f} MiB, fp32 IR on a CPU, one call{one}" if "peak_mib" in row else "not measured"
    lines = {
        "what it is": row["summary"],
        "images": f"{height}x{width}, {row['frames']} {'frame' if row['frames'] == 1 else 'frames'}",
        "inputs of the IR": ", ".join(row["takes"]),
        "parameters": f"{row['parameters_millions']:.2f} million",
        "operations": f"{row['gflops']:.0f} GFLOPs ({row['gmacs']:.0f} billion multiply-accumulates)",
        "peak memory": memory,
        "published": f"{', '.join(published)} ({row['published_source']})" if published else "nothing",
    }
    table = Table(title=row["name"], title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in lines.items():
        table.add_row(name, escape(value))
    if verified := row.get("verified", {}):
        table.add_section()
        table.add_row("[bold]verified:[/]", "")
        for name, value in verified.items():
            table.add_row(name, escape(value))
    console.print(table)
    console.print(
        "Verified with random weights on a synthetic frame (python -m benchmarks.parity), and against recorded outputs "
        "of the official code (tests/golden/replay.py). Published figures were not measured here.",
        highlight=False,
    )


def print_manifest(console: Console, artifact: Artifact) -> None:
    """What an artifact is, in words."""
    manifest = artifact.manifest
    table = Table(title=str(artifact.path), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "variant": manifest.variant,
        "weights": ", ".join(f"{key} {value}" for key, value in manifest.weights.items()),
        "stored precision": manifest.precision,
        "cameras": ", ".join(manifest.cameras),
        "temporal": _temporal(artifact),
        "crop": _crop(manifest.crop),
        "pooling": _pooling(manifest),
        "calibration": _calibration(manifest),
        "outputs": ", ".join(manifest.outputs),
        "measured parity": _parity(manifest.parity),
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    for name, value in rows.items():
        table.add_row(name, escape(value))
    console.print(table)
    if manifest.quantization:
        print_quantization(console, manifest.quantization)


def print_quantization(console: Console, found: Mapping[str, Any]) -> None:
    """What quantising cost, where the multiply-accumulates run, what stayed in floating point and why."""
    table = Table(title="Multiply-accumulates in int8", title_justify="left")
    for column in ("kind of layer", "layers", "in int8", "GMAC", "in int8"):
        table.add_column(column, justify="left" if column == "kind of layer" else "right")
    for kind, share in found["macs"].items():
        counts = (f"{share['layers']}", f"{share['int8_layers']}", f"{share['macs'] / 1e9:.2f}", f"{share['int8']:.1%}")
        table.add_row(kind, *counts)
    console.print(table)
    total = found["macs"]["all"]["macs"]
    for group in found["floats"]:
        where = f"{len(group['layers'])} layers, {group['macs'] / total:.1%} of the work"
        names = escape(", ".join(group["layers"][:4]) + (", ..." if len(group["layers"]) > 4 else ""))
        console.print(f"floating point, {group['by']}: {where}: {group['why']}: {names}", highlight=False)
    scenes = "of other scenes" if found["validated_on_other_drives"] else "[yellow]that it was calibrated on[/]"
    console.print(
        f"mIoU fp32 {found['miou_fp32']:.2%}, int8 {found['miou_int8']:.2%} (budget {found['budget']:g} points) on "
        f"{found['validation_frames']} frames {scenes}; calibrated on {found['calibration_frames']} frames",
        highlight=False,
    )
    if found["cpu_executes"] is not None:
        console.print(f"the CPU plugin says it runs {found['cpu_executes']:.1%} of the work in int8", highlight=False)


def _temporal(artifact: Artifact) -> str:
    """How a model takes its frames, and what it keeps of them between two calls."""
    variant, manifest = artifact.variant, artifact.manifest
    if manifest.temporal == "batch":
        return "all frames at once" if variant.frames > 1 else "one frame"
    slots = state_slots(variant, manifest.temporal)
    shapes = state_shapes(variant, manifest.temporal, len(manifest.cameras))
    mebibytes = sum(slots[name] * math.prod(shapes[name]) * 4 for name in slots) / 2**20
    kept = ", ".join(f"{name} of {count} frames" for name, count in slots.items())
    return f"{manifest.temporal}, one frame at a time; remembers {kept}: {mebibytes:.0f} MiB"


def _crop(crop: Crop) -> str:
    rows = {
        "top": "rows too many are cut from the top, as published",
        "middle": "half of the rows too many from the top",
    }
    return rows[crop] if isinstance(crop, str) else f"{crop} rows of the resized image are cut from the top"


def _pooling(manifest: Manifest) -> str:
    if manifest.matrices:
        pieces = manifest.matrices.pieces
        if pieces is None:
            return "scatter, for any rig"
        return f"columns, for rigs whose columns of one depth bin fall in no more than {pieces} cells"
    if manifest.columns is None:
        return "bag"
    places = ", ".join(f"{name} {count}" for name, count in manifest.columns.to_dict().items())
    return f"columns, for rigs that need no more places than {places}"


def _calibration(manifest: Manifest) -> str:
    if manifest.baked_calibration:
        return "baked in: runs with that one only"
    if manifest.matrices is None:
        return "an input, as a pooling plan"
    sizes = [f"{height}x{width}" for height, width in dict.fromkeys(manifest.matrices.image_sizes)]
    return f"an input, as matrices, for raw images of {', '.join(sizes)}: docs/contract.md"


def _parity(parity: Any) -> str:
    if parity is None:
        return "not measured yet: occvino verify"
    verdict = "agrees" if parity["ok"] else f"parts first at {parity['first_divergence']}"
    if not parity["ok"] and parity["first_divergence"] is None:
        verdict = f"proves little: {parity['proves_little']}"
    return f"{verdict}; labels equal to PyTorch's: ONNX {parity['onnx_labels']:.4%}, IR {parity['ir_labels']:.4%}"


def print_rule_check(console: Console, check: "RuleCheck") -> None:
    """The NPU rules and what the IR says to each."""
    rows = {
        "no operator that was refused": check.refused,
        "every operator was seen to compile": check.untried,
        "every shape is fixed or has a bound": check.unbounded,
        "inputs and outputs of rank 5 or less": check.rank,
    }
    table = Table(title="NPU rule check", title_justify="left", show_header=False)
    for rule, broken in rows.items():
        table.add_row(rule, f"[red]no: {escape(', '.join(broken[:5]))}[/]" if broken else "[green]yes[/]")
    console.print(table)
    uncosted = ", ".join(check.uncosted) or "none"
    console.print(f"{len(check.operators)} kinds of operator; of unknown cost there: {uncosted}", highlight=False)
    console.print(
        "A rule check: neither an NPU nor its compiler was used. --compiler asks the compiler.",
        highlight=False,
    )


def print_npu_reports(console: Console, reports: "Mapping[str, NpuReport]") -> None:
    """What Intel's NPU compiler made of each part of a network."""
    table = Table(title="Intel's NPU compiler", title_justify="left")
    for column in ("part", "compiles", "in s", "MB", "estimate, ms", "of unknown cost"):
        table.add_column(column, justify="right" if column in ("in s", "MB", "estimate, ms") else "left")
    for part, found in reports.items():
        if found.ok:
            figures = (found.seconds or 0, (found.blob_bytes or 0) / 1e6, (found.estimated_us or 0) / 1e3)
            often = f"{found.runs} x " if found.runs > 1 else ""
            row = ["[green]yes[/]", f"{figures[0]:.0f}", f"{figures[1]:.0f}", f"{often}{figures[2]:.2f}"]
        else:
            row = [f"[red]no: {escape(found.message)}[/]", "", "", ""]
        table.add_row(part, *row, ", ".join(name.removeprefix("builtin_") for name in found.uncosted))
    console.print(table)
    console.print(f"{reports[next(iter(reports))].kind}; kernels of unknown cost count nothing.", highlight=False)
