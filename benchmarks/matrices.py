"""Calibration as matrices against the pooling plan: labels, cells, and time. `python -m benchmarks.matrices`.

Weights: occvino-nano's own, random ones of flashocc-r50-M0. Everything computes in fp32, so that what differs is the
geometry. `--real FOLDER` adds a frame: six images and their rig, `calibration.json`.

For each frame: in how many points float32 decides for another cell than float64, how far the farthest of those is from
a border, how many points are within `NEAR` of one, and how many labels differ from the plan form; then the plan form is
given the cells that the graph computed, and what still differs is not of the geometry.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset8 as ops
from PIL import Image

from benchmarks.harness import RESULTS, THREADS, save, show, take_turns
from benchmarks.pool import compile_graph, tensors_for
from occvino.artifact import IR, Artifact
from occvino.bev_pool import bev_pool_openvino
from occvino.bev_pool_scatter import bev_pool_pieces_openvino, bev_pool_points_openvino
from occvino.conversion import convert
from occvino.conversion.matrices import MatrixGraph, matrices_form
from occvino.conversion.verify_matrices import NEAR, computed_geometry
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.shipped import shipped_scene
from occvino.geometry.inputs import joint_calibration
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.matrices import MATRIX_INPUTS, border_distances, matrix_inputs, positions
from occvino.geometry.rig import Rig
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime import Pipeline
from occvino.runtime.frame import Frame
from occvino.synth.write import SynthSettings, synthesize
from occvino.variants import get_variant

NAMES = ("occvino-nano", "flashocc-r50-M0")
FORMS: Mapping[str, dict[str, Any]] = {
    "plan": {},
    "matrices, columns": {"calibration": "matrices", "pooling": "columns"},
    "matrices, scatter": {"calibration": "matrices", "pooling": "scatter"},
}
Seen = tuple[str, dict[str, np.ndarray], Rig]


def frames_of(dataset: NuScenes, source: str, count: int | None = None) -> Iterator[Seen]:
    for index in range(len(dataset))[:count]:
        frame = dataset[index]
        yield source, {name: np.asarray(Image.open(path)) for name, path in frame.image_files().items()}, frame.rig


def real_frame(folder: Path) -> Seen:
    rig = Rig.load(folder / "calibration.json")
    images = {name: np.asarray(Image.open(folder / f"{name}.jpg").convert("RGB")) for name in rig.names}
    return "real frame", images, rig


def artifacts(name: str, rig: Rig, out: Path) -> dict[str, Artifact]:
    more = {"precision": "fp32", "rig": rig}
    return {
        form: convert(name, shipped_weights(name), out / form.replace(", ", "-"), **more, **options)
        for form, options in FORMS.items()
    }


def labels_against_the_plan(made: Mapping[str, Artifact], seen: list[Seen]) -> list[dict[str, Any]]:
    pipes = {form: Pipeline(artifact, precision="fp32") for form, artifact in made.items()}
    on_cells = ov.Core().compile_model(
        ov.Core().read_model(made["plan"].path / IR), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    rows: list[dict[str, Any]] = []
    for source, images, rig in seen:
        prepared = pipes["plan"].prepare(Frame(images, rig))
        expected = pipes["plan"].infer(prepared).outputs["labels"]
        artifact = made["matrices, columns"]
        variant, form = artifact.variant, artifact.manifest.matrices
        matched = artifact.match(rig)
        _, given, computed = computed_geometry(artifact, [matched], "CPU", "fp32")
        exact = matrix_inputs(joint_calibration([matched], variant), variant, form, np.float64)
        near = border_distances(positions(exact, variant, form, np.float64), variant) <= NEAR
        same_cells = np.array(on_cells({"images": prepared.inputs["images"], **given})["labels"])
        row: dict[str, Any] = {
            "source": source,
            "points": computed.points,
            "other_cell": computed.other_cell,
            "farthest": computed.farthest,
            "near": int(near.sum()),
            "voxels": expected.size,
        }
        for name in list(FORMS)[1:]:
            found = pipes[name].infer(pipes[name].prepare(Frame(images, rig))).outputs["labels"]
            row[name] = {"differ": int((found != expected).sum()), "on_its_cells": int((found != same_cells).sum())}
        rows.append(row)
        print(row, flush=True)
    return rows


def pooling(name: str, rig: Rig) -> dict[str, Callable[[], np.ndarray]]:
    """One pooling, from depth and features on; of matrices with the geometry."""
    variant = get_variant(name)
    depth, feat = tensors_for(variant)
    plan = PoolingPlan.from_rig(rig, variant)
    forms = {
        label: matrices_form(options["pooling"], variant, rig, rig.names, None)
        for label, options in FORMS.items()
        if "pooling" in options
    }
    given = matrix_inputs(rig.calibration(variant), variant, forms["matrices, columns"])

    def build(label: str) -> Callable[..., ov.Output]:
        form, cells = forms[label], variant.plan_cells()

        def graph(depth: ov.Output, feat: ov.Output, k: ov.Output, pose: ov.Output) -> ov.Output:
            cell = MatrixGraph(variant, form, k.get_node(), pose.get_node()).cells()
            if form.pieces is None:
                return bev_pool_points_openvino(depth, feat, ops.convert(cell, "i32").output(0), cells)
            return bev_pool_pieces_openvino(depth, feat, cell, cells, form.pieces)[0]

        return graph

    matrices = {"depth": depth, "feat": feat, **{each: given[each] for each in MATRIX_INPUTS}}
    return {
        "plan": compile_graph(bev_pool_openvino, {"depth": depth, "feat": feat, **plan.inputs()}, THREADS),
        **{label: compile_graph(build(label), matrices, THREADS) for label in forms},
    }


def measured(name: str, scratch: Path, seen: list[Seen], rounds: int) -> dict[str, Any]:
    _, images, rig = seen[0]
    pools = pooling(name, rig)
    expected = pools["plan"]()
    for label, run in pools.items():
        off = np.abs(run() - expected).max(axis=(0, 1))
        assert (off > 1e-3).mean() < 1e-3, label
    timings = {"pooling": take_turns(pools, rounds=rounds, warmup=3)}
    show(f"{name}: one pooling, ms", timings["pooling"])
    made = artifacts(name, rig, scratch)
    pipes = {form: Pipeline(artifact, threads=THREADS, precision="fp32") for form, artifact in made.items()}
    prepared = {form: pipe.prepare(Frame(images, rig)) for form, pipe in pipes.items()}
    network = {form: lambda form=form: pipes[form].infer(prepared[form]) for form in pipes}
    timings["network"] = take_turns(network, rounds=max(rounds // 4, 5), warmup=1)
    show(f"{name}: images and calibration to labels, ms", timings["network"])
    rigs = [pipes["plan"].artifact.match(each) for _, _, each in seen]
    turn = dict.fromkeys(pipes, 0)

    def host(form: str) -> Any:
        turn[form] += 1
        return pipes[form].geometry_inputs(rigs[turn[form] % len(rigs)])

    timings["host"] = take_turns({form: lambda form=form: host(form) for form in pipes}, rounds=rounds, warmup=3)
    show(f"{name}: calibration of another rig on the host, ms", timings["host"])
    return {**timings, "pieces": made["matrices, columns"].manifest.matrices.pieces}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of a real frame")
    parser.add_argument("--scenes", type=int, default=4, help="synthetic scenes of three frames each")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--models", default=",".join(NAMES), help="comma between them; results of others stay")
    options = parser.parse_args()
    stored = RESULTS / "matrices.json"
    results: dict[str, Any] = json.loads(stored.read_text())["results"] if stored.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        list(synthesize(scratch / "synth", options.scenes, SynthSettings(seed=5, frames=3, width=704)))
        synthetic = list(frames_of(NuScenes(scratch / "synth"), "synthetic"))
        shipped = list(frames_of(shipped_scene(), "shipped drive"))
        real = [real_frame(options.real)] if options.real else []
        for name in options.models.split(","):
            small = name == NAMES[0]
            timings = measured(name, scratch / name, shipped, options.rounds if small else max(options.rounds // 2, 5))
            rows: list[dict[str, Any]] = []
            results[name] = {"timings": timings, "frames": rows}
            save("matrices", {"near": NEAR, "results": results})
            for seen in (shipped, synthetic if small else synthetic[:3], real):
                if seen:
                    made = artifacts(name, seen[0][2], scratch / f"{name}-{seen[0][0].replace(' ', '-')}")
                    rows += labels_against_the_plan(made, seen)
                    save("matrices", {"near": NEAR, "results": results})


if __name__ == "__main__":
    main()
