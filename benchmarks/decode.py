"""Six JPEG files of 1600x900 in memory to arrays: Pillow and simplejpeg, on one thread and on two.

`python -m benchmarks.decode`; the extra `fast` is needed. To raw images, and to M0's tensor, which Pillow resizes.
"""

import io
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import numpy as np
from PIL import Image

from benchmarks.harness import THREADS, Timing, save, show, take_turns
from benchmarks.preprocess import images
from occvino.datasets.shipped import shipped_scene
from occvino.images import decode as decoding
from occvino.images.inputs import network_images, raw_images
from occvino.images.layout import ImageInput
from occvino.variants import get_variant

ROUNDS = 40
SIZE = (900, 1600)
SIMPLEJPEG = decoding.simplejpeg


def jpegs() -> list[bytes]:
    """As a camera sends them: quality 95, colours at half the size."""
    files = [io.BytesIO() for _ in range(6)]
    for file, image in zip(files, images(SIZE), strict=True):
        Image.fromarray(image).save(file, "JPEG", quality=95, subsampling="4:2:0")
    return [file.getvalue() for file in files]


def main() -> None:
    if SIMPLEJPEG is None:
        raise SystemExit('simplejpeg is not installed: pip install ".[fast]"')
    files, rig = jpegs(), shipped_scene()[0].rig.scaled(SIZE[0] / 396)
    jobs: dict[str, Callable[[Executor | None], np.ndarray]] = {
        "to raw images": lambda pool: raw_images([(files, rig)], [rig], ImageInput(SIZE), pool),
        "to M0's tensor": lambda pool: network_images(files, rig, get_variant("flashocc-r50-M0"), pool),
    }
    results: dict[str, list[Timing]] = {}
    with ThreadPoolExecutor(THREADS - 1) as pool:  # and the thread that asks
        for label, job in jobs.items():
            results[label] = measure(job, pool)
            show(label, results[label])
    kib = sum(map(len, files)) / len(files) / 1024
    versions = [decoding.jpeg_decoder(), f"Pillow {decoding.PIL.__version__}"]
    save("decode", {"rounds": ROUNDS, "results": results, "file_kib": kib, "decoders": versions})


def measure(job: Callable[[Executor | None], np.ndarray], pool: Executor) -> list[Timing]:
    def run(decoder: object, pool: Executor | None) -> np.ndarray:
        decoding.simplejpeg = decoder
        return job(pool)

    contestants = {
        f"{name}, {'one thread' if many is None else f'{THREADS} threads'}": partial(run, decoder, many)
        for name, decoder in {"Pillow": None, "simplejpeg": SIMPLEJPEG}.items()
        for many in (None, pool)
    }
    first, *others = (decode() for decode in contestants.values())
    for other in others:
        np.testing.assert_array_equal(other, first)
    return take_turns(contestants, rounds=ROUNDS)


if __name__ == "__main__":
    main()
