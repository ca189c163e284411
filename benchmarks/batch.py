"""What `occvino batch` takes: frames a second of each engine on the same frames in turn, Ray's share, bytes a frame.

occvino synth set --scenes 6 --frames 8 --seed 5
python -m benchmarks.batch set       # benchmarks/results/batch.json
python -m benchmarks.batch page      # the tables of docs/batch.md
"""

import json
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from occvino.conversion import convert
from occvino.datasets.nuscenes import NuScenes
from occvino.machine import cpu_name
from occvino.networks.checkpoint import shipped_weights
from occvino.scale.batch import Batch
from occvino.scale.forms import FORMS
from occvino.scale.on_ray import FRAMES, Pool, cluster, run_on_ray, unit_size
from occvino.scale.source import LocalSource
from occvino.scale.work import Result, Setup
from occvino.scale.worker import Worker, run_here

RESULTS = Path(__file__).parent / "results" / "batch.json"
PAGE = Path(__file__).parents[1] / "docs" / "batch.md"
ROUNDS = 3
SAME = 0.01
"""Seconds after the first result in which others came in its message: their work was done before the clock started."""
POOLS = {"ray, 1 actor of 2 threads": Pool(1, 2, 1, 2), "ray, 2 actors of 1 thread": Pool(2, 1, 1, 2)}


class Nothing:
    """An actor that sends a payload of the usual size for every frame, each by itself: what is left is Ray."""

    def __init__(self, *_):
        self._payload = os.urandom(10_000)

    def __call__(self, batch):
        """Results of the frames of a batch."""
        for name in pickle.loads(batch["unit"][0]).names:
            yield {"result": [pickle.dumps([Result(name, "", self._payload, "0" * 64)])]}


def cpu_seconds():
    """CPU time of this process and of each that it started and that lives, by process."""
    told, hertz = {}, os.sysconf("SC_CLK_TCK")
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        told[int(path.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / hertz
    mine = {os.getpid()}
    while more := {pid for pid, (parent, _) in told.items() if parent in mine} - mine:
        mine |= more
    return {pid: told[pid][1] for pid in mine}


def spent(before):
    """CPU seconds since then, of the processes that live now."""
    return sum(now - before.get(pid, 0.0) for pid, now in cpu_seconds().items())


def timed(results):
    """From the first message to the last: frames a second, CPU seconds a frame; and the seconds until the first."""
    started, times, cpu, at_once, last = time.perf_counter(), [], {}, 0, (1, 0.0)
    for _ in results:
        times.append(time.perf_counter())
        cpu = cpu or cpu_seconds()
        if times[-1] - times[0] < SAME:
            at_once = len(times)
        elif len(times) % 8 == 0:
            last = (len(times) - at_once, spent(cpu))
    return {
        "frames_per_s": (len(times) - at_once) / (times[-1] - times[0]),
        "cpu_s_a_frame": last[1] / last[0],
        "first_s": times[0] - started,
    }


def units(folder, artifact, source, size=None):
    run = Batch(source, artifact, folder, {})
    run.begin()
    made = run.units(size)
    run.close()
    return made


def measure(dataset):
    source = LocalSource(NuScenes(dataset))
    frames = len(source.dataset)
    found = {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "frames": frames,
        "model": "occvino-nano",
        "load": [],
        "rounds": {},
    }
    images = [path for frame in source.dataset for path in frame.images]
    found["jpeg_bytes_a_frame"] = sum(path.stat().st_size for path in images) / frames
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        artifact = convert("occvino-nano", shipped_weights("occvino-nano"), folder / "nano")
        setup = Setup(artifact.path, "npz")
        worker = Worker(setup)
        all_at_once = units(folder / "plan", artifact, source)
        for form in FORMS:
            found[form] = stored(worker, artifact, source, folder / form, form)
            print(form, found[form], flush=True)
        with cluster():
            many = [unit for unit in units(folder / "many", artifact, source, 24) for _ in range(20)]
            empty = timed(run_on_ray(setup, Pool(1, 1, 1, 2), many, actor=Nothing))
            found["ray_alone_frames_per_s"] = empty["frames_per_s"]
            found["ray_alone_cpu_s_a_frame"] = empty["cpu_s_a_frame"]
            for number in range(ROUNDS):
                found["load"].append(os.getloadavg()[0])
                rows = {"local, 2 threads": timed(run_here(worker, all_at_once))}
                for name, pool in POOLS.items():
                    parts = units(folder / f"{number}{pool.actors}", artifact, source, unit_size(frames, pool))
                    rows[name] = timed(run_on_ray(setup, pool, parts))
                for name, row in rows.items():
                    found["rounds"].setdefault(name, []).append(row)
                    print(name, row, flush=True)
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def stored(worker, artifact, source, folder, form):
    """Bytes a frame on disk, and CPU milliseconds a frame of the process that writes them, manifest and all."""
    worker = Worker(Setup(artifact.path, form))
    made = list(run_here(worker, units(folder / "plan", artifact, source)))
    run = Batch(source, artifact, folder / "out", {}, form=form, shard=len(made))
    run.begin()
    started = time.process_time()
    list(run.run(result for result in made))
    cpu = 1000 * (time.process_time() - started) / len(made)
    run.close()
    told = {"manifest.jsonl", "batch.json"}
    files = [path for path in (folder / "out").rglob("*") if path.is_file() and path.name not in told]
    size = sum(path.stat().st_size for path in files) / len(made)
    manifest = (folder / "out" / "manifest.jsonl").stat().st_size / len(made)
    return {"bytes_a_frame": size, "manifest_bytes_a_frame": manifest, "write_cpu_ms_a_frame": cpu}


def cpu_of(found, name):
    """CPU seconds a frame of an engine."""
    return median(row["cpu_s_a_frame"] for row in found["rounds"][name])


def measured_table(found):
    low, high = min(found["load"]), max(found["load"])
    yield " ".join(
        (
            f"{found['frames']} synthetic frames of six images 704x396, {found['model']}, {found['cpu']},",
            f"{found['cores']} cores; median and range of {len(found['load'])} rounds in turn. Load average at the",
            f"beginning of a round: {low:.0f} to {high:.0f}. Where that is above the number of cores, others were",
            "using them: then CPU time says most.",
        )
    )
    yield "\n| engine | frames/s | slowest to fastest | CPU ms a frame | seconds to the first frame |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, rows in found["rounds"].items():
        values = [row["frames_per_s"] for row in rows]
        first, cpu = (median(row[what] for row in rows) for what in ("first_s", "cpu_s_a_frame"))
        span = f"{min(values):.2f} to {max(values):.2f}"
        yield f"| {name} | {median(values):.2f} | {span} | {1000 * cpu:.0f} | {first:.1f} |"
    alone = found["ray_alone_frames_per_s"]
    cpu = 1000 * found["ray_alone_cpu_s_a_frame"]
    yield f"\nA message of an actor that does nothing else: {1000 / alone:.1f} ms, {cpu:.1f} ms of CPU time."
    yield f"An actor puts {FRAMES} frames into one."
    yield "\n| format | bytes a frame | CPU ms a frame to write it |\n| --- | ---: | ---: |"
    for form in FORMS:
        yield f"| {form} | {found[form]['bytes_a_frame']:,.0f} | {found[form]['write_cpu_ms_a_frame']:.1f} |"
    yield f"\nThe manifest adds {found['npz']['manifest_bytes_a_frame']:.0f} bytes a frame to each."


def plan_table(found):
    """On paper: nodes like this machine, left alone, so that CPU time says how many frames a second they do."""
    here = found["cores"] / min(cpu_of(found, name) for name in found["rounds"] if "ray" in name)
    yield "| frames | nodes | hours | npz | parquet | images read | saturates first |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for frames in (28_130, 1000 * 3600 * 2):
        for nodes in (1, 10, 100):
            limits = {
                "the nodes' cores": here * nodes,
                "the driver: messages from actors": FRAMES / found["ray_alone_cpu_s_a_frame"],
                "the driver: writing shards": 1000 / found["parquet"]["write_cpu_ms_a_frame"],
            }
            first = min(limits, key=limits.__getitem__)
            rate = limits[first]
            sizes = [frames * (found[form]["bytes_a_frame"] + 500) / 1e9 for form in ("npz", "parquet")]
            read = rate * found["jpeg_bytes_a_frame"] / 1e6
            hours = frames / rate / 3600
            disk = " | ".join(f"{size:.2f} GB" for size in sizes)
            yield f"| {frames:,} | {nodes} | {hours:,.2f} | {disk} | {read:.1f} MB/s | {first} |"


def page():
    found, text = json.loads(RESULTS.read_text()), PAGE.read_text()
    for name, made in {"measured": measured_table(found), "plan": plan_table(found)}.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + "\n".join(made) + "\n" + end + rest.partition(end)[2]
    PAGE.write_text(text)


if __name__ == "__main__":
    page() if sys.argv[1] == "page" else measure(sys.argv[1])
