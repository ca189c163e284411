"""Six whole pictures to the network's u8 tensor: in the graph against Pillow on one thread.

`python -m benchmarks.preprocess`, for each of several sizes.
"""

import numpy as np
import openvino as ov
from PIL import Image

from benchmarks.harness import THREADS, Timing, save, show, take_turns
from occvino.cameras import ImageTransform
from occvino.conversion.raw_frames import resizing
from occvino.datasets.shipped import shipped_drive
from occvino.image_input import ImageInput

ROUNDS = 40
CASES = {"M0": ((900, 1600), (256, 704)), "occvino-nano": ((900, 1600), (128, 352)), "odd": ((1013, 1811), (256, 704))}
"""Whole and network size. `odd` shares no small factor with its result."""


def pictures(size: tuple[int, int]) -> np.ndarray:
    """Those of the shipped drive, enlarged: smooth, as camera pictures are."""
    frame = shipped_drive()[0].load_images()
    return np.stack([np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.BICUBIC)) for one in frame])


def by_pillow(frames: np.ndarray, transform: ImageTransform) -> np.ndarray:
    resized = (Image.fromarray(one).resize(transform.resized, Image.Resampling.BICUBIC) for one in frames)
    return np.stack([np.asarray(one.crop(transform.crop)) for one in resized])


def main() -> None:
    results: dict[str, list[Timing]] = {}
    equal: dict[str, dict[str, float]] = {}
    for name, (size, taken) in CASES.items():
        frames, transform = pictures(size), ImageTransform.for_test(size, taken)
        model = resizing(ImageInput(size), transform, len(frames))
        settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
        request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
        graph = lambda: request.infer({"frames": frames}, share_inputs=True, share_outputs=True)["images"]  # noqa: B023, E731
        pillow = lambda: by_pillow(frames, transform)  # noqa: B023, E731
        difference = np.abs(graph().astype(np.int16) - pillow())
        equal[name] = {"share": float((difference == 0).mean()), "levels": int(difference.max())}
        label = f"{name}: {size[0]}x{size[1]} to {taken[0]}x{taken[1]}"
        results[label] = take_turns({"in the graph": graph, "Pillow, one thread": pillow}, rounds=ROUNDS)
        show(label, results[label])
        print(equal[name])
    save("preprocess", {"rounds": ROUNDS, "results": results, "equal": equal})


if __name__ == "__main__":
    main()
