"""What a server costs beside a call: `python -m benchmarks.serving ARTIFACT`, where the extra `serve` is installed.

The same frames of the scene that ships inside, as files and as pixels: a `Pipeline` of this process, and a server's
over HTTP and gRPC, in turn. Then how many frames a second clients get together, and a stream of this process beside
it. Labels are compared in every call. Needs `tritonclient[http,grpc]`.
"""

import argparse
import importlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness import THREADS, show, take_turns
from occvino.datasets.shipped import shipped_scene
from occvino.runtime import Pipeline
from occvino.serve.rig import rig_of_matrices

KINDS = ("http", "grpc")


class Frames:
    """Frames of the scene: what a pipeline and what a client is given, and the labels of each."""

    def __init__(self, pipeline: Pipeline) -> None:
        scene = shipped_scene()
        self.files: list[list[bytes]] = []
        self.pixels: list[np.ndarray] = []
        self.rigs: list[Any] = []
        for index in range(len(scene)):
            rig, found = scene[index].rig, scene[index].image_files()
            self.names = rig.names
            self.files.append([found[name].read_bytes() for name in rig.names])
            self.pixels.append(np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in self.files[-1]]))
            key = np.linalg.inv(rig.cameras[0].ego2global)
            poses = np.array([key @ each.ego2global @ each.sensor2ego for each in rig.cameras], np.float32)
            k = np.array([each.intrinsics for each in rig.cameras], np.float32)
            self.rigs.append(
                (k, poses, rig_of_matrices(rig.names, [(c.width, c.height) for c in rig.cameras], k, poses))
            )
        self.labels = {
            kind: [self.call(pipeline, index, kind) for index in range(len(scene))] for kind in ("files", "pixels")
        }

    def __len__(self) -> int:
        return len(self.rigs)

    def images(self, index: int, form: str) -> Any:
        """Of a frame, in the rig's order."""
        return self.files[index] if form == "files" else self.pixels[index]

    def call(self, pipeline: Pipeline, index: int, form: str) -> np.ndarray:
        """Labels by the pipeline."""
        return pipeline(self.images(index, form), self.rigs[index][2]).labels

    def inputs(self, kind: str, index: int, form: str) -> list[Any]:
        """What a client sends, made anew for each request, as a client has to."""
        images = self.images(index, form)
        values = {"images": np.array(images, object) if form == "files" else images}
        values |= {"intrinsics": self.rigs[index][0], "camera2ego": self.rigs[index][1]}
        made = []
        for name, array in values.items():
            datatype = {"O": "BYTES", "u": "UINT8", "f": "FP32"}[array.dtype.kind]
            made.append(importlib.import_module(f"tritonclient.{kind}").InferInput(name, list(array.shape), datatype))
            made[-1].set_data_from_numpy(array)
        return made


class Client:
    """One connection."""

    def __init__(self, frames: Frames, kind: str, address: str, model: str) -> None:
        self.frames, self.kind, self.model = frames, kind, model
        self.connection = importlib.import_module(f"tritonclient.{kind}").InferenceServerClient(address)

    def call(self, index: int, form: str) -> None:
        """One request; its labels must be those of the pipeline."""
        found = self.connection.infer(self.model, self.frames.inputs(self.kind, index, form)).as_numpy("labels")
        if not np.array_equal(found, self.frames.labels[form][index]):
            raise SystemExit(f"frame {index} over {self.kind}: other labels")


def start(artifact: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A server on free ports, and its addresses."""
    command = [sys.executable, "-c", "from occvino.cli import main; main()", "serve", str(artifact)]
    process = subprocess.Popen([*command, "--port", "0", "--grpc-port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    addresses: dict[str, str] = {}
    while len(addresses) < 2 and (line := process.stdout.readline()):
        if found := re.match(r"(HTTP|gRPC): (?:http://)?([^/\s]+)", line):
            addresses[found[1].lower()] = found[2]
    return process, addresses


def turns(count: int, run: Callable[[int], None]) -> Callable[[], None]:
    """A contestant that takes the next frame at each of its turns."""
    numbers = iter(range(1 << 30))
    return lambda: run(next(numbers) % count)


def cpu_seconds(pid: int) -> float:
    """Of a process so far, all its threads; Linux alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def costs(contestants: Mapping[str, Callable[[], Any]], server: int, rounds: int) -> None:
    """CPU time a frame of both processes together, which another load of the machine changes little."""
    spent = dict.fromkeys(contestants, 0.0)
    for _ in range(rounds):
        for name, run in contestants.items():
            before = cpu_seconds(server) + cpu_seconds(os.getpid())
            run()
            spent[name] += cpu_seconds(server) + cpu_seconds(os.getpid()) - before
    for name, seconds in spent.items():
        print(f"{name:34}{1e3 * seconds / rounds:9.0f} ms of CPU time a frame", flush=True)


def together(connect: Callable[[], Client], count: int, form: str, seconds: float) -> float:
    """Frames a second of all clients, for so long."""
    done, end, start = [0] * count, time.perf_counter() + seconds, time.perf_counter()

    def work(number: int) -> None:
        client = connect()  # tritonclient's HTTP belongs to the thread that made it
        while time.perf_counter() < end:
            client.call((number + done[number]) % len(client.frames), form)
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def streamed(pipeline: Pipeline, frames: Frames, form: str, seconds: float) -> float:
    """Frames a second of a stream of this process."""
    end, start = time.perf_counter() + seconds, time.perf_counter()

    def given() -> Any:
        number = 0
        while time.perf_counter() < end:
            index = number % len(frames)
            yield frames.images(index, form), frames.rigs[index][2]
            number += 1

    return sum(1 for found in pipeline.stream(given()) if found) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    pipeline = Pipeline(args.artifact, threads=THREADS)
    frames, model = Frames(pipeline), pipeline.artifact.variant.name
    process, addresses = start(args.artifact)
    try:
        clients = {kind: Client(frames, kind, addresses[kind], model) for kind in KINDS}
        for form in ("files", "pixels"):
            contestants = {f"Pipeline, {form}": turns(len(frames), lambda i, form=form: frames.call(pipeline, i, form))}
            for kind in KINDS:
                name, client = f"{kind}, {form}", clients[kind]
                contestants[name] = turns(len(frames), lambda i, client=client, form=form: client.call(i, form))
            show(f"one client, ms a frame, {form}", take_turns(contestants, rounds=args.rounds, warmup=3))
            costs(contestants, process.pid, args.rounds)
        print("\nframes a second, all clients together; each line in turn")
        for form in ("files", "pixels"):
            print(f"{'stream of this process, ' + form:34}{streamed(pipeline, frames, form, args.seconds):9.2f}")
            for kind in KINDS:
                for count in (1, 2, 8):

                    def connect(kind: str = kind) -> Client:
                        return Client(frames, kind, addresses[kind], model)

                    found = together(connect, count, form, args.seconds)
                    print(f"{f'{kind}, {form}, {count} clients':34}{found:9.2f}", flush=True)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


if __name__ == "__main__":
    main()
