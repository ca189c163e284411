"""The training loop: AdamW, one cosine, moving average of the weights, checkpoints from which a run goes on.

A run that was stopped takes the same frames, random changes and learning rates as one that was not; with one thread
it ends in the same weights, with more in weights that differ by the order in which threads add.
"""

import hashlib
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from occvino.errors import CheckpointError, warn
from occvino.files import atomic_file, to_json, writing
from occvino.metrics import MIoU
from occvino.networks.containers import container_of
from occvino.networks.flashocc import FlashOcc, normalise
from occvino.networks.weights import read_pickle
from occvino.training.examples import Example, Samples, load_example, random_cameras
from occvino.training.losses import LossSettings, TrainError, bin_weights, class_weights, total_loss
from occvino.variant import Variant
from occvino.variants import get_variant

_COUNTED_FRAMES = 100
_PREFETCHED = 4
_CAMERA_DRAWS = 400
_CONSTANT = 1e-8


@dataclass(frozen=True)
class TrainSettings:
    """What a run follows from, together with its data.

    Attributes:
        variant: name of the model.
        steps: of the optimiser, in all; the learning rate falls to zero there.
        batch: frames a step; they pass one after another, so memory is that of one.
        learning_rate: at its highest.
        weight_decay: of AdamW.
        warmup: steps until the learning rate is at its highest.
        average: decay of the moving average of the weights.
        seed: of the first weights, the order of frames and every random change.
        bf16: convolutions in bfloat16, on a CPU that has it.
        frozen: parts of the network that keep their first weights, such as "img_backbone".
    """

    variant: str
    steps: int = 6000
    batch: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 200
    average: float = 0.998
    seed: int = 0
    bf16: bool = False
    losses: LossSettings = field(default_factory=LossSettings)
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        get_variant(self.variant)
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise TrainError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if not 0 < self.learning_rate < 1:
            raise TrainError(f"learning_rate is {self.learning_rate}: choose a number between 0 and 1")


class Training:
    """A run in a folder: `last.pt` to go on from, `log.jsonl` with one line each `report_every` steps.

    Args:
        settings: what the run follows from; those of `last.pt`, where there is one.
        frames: to learn from.
        out: the folder.
        device: that computes, such as "cuda"; a run may go on on another one.
        readers: threads that read and change frames ahead of the steps.
        at_once: frames of a step that are computed beside each other, each on `torch.get_num_threads()` threads. On a
            CPU two on a thread each take less time than one after another on two threads. What is random is then drawn
            in any order, and batch norms may miss a frame in their statistics.

    Raises:
        CheckpointError: `last.pt` is damaged, or of other settings or data.
        TrainError: there is no frame, no loss for the variant, no such device, or at_once is not from 1 to the batch.
    """

    def __init__(
        self,
        settings: TrainSettings,
        frames: Sequence[Samples],
        out: str | Path,
        *,
        device: str = "cpu",
        readers: int = 1,
        at_once: int = 1,
    ) -> None:
        if not frames:
            raise TrainError("there is no frame to learn from")
        if not 1 <= at_once <= settings.batch:
            raise TrainError(f"at_once is {at_once}: at least 1, and at most the {settings.batch} frames of a step")
        variant = get_variant(settings.variant)
        if variant.panoptic:
            raise TrainError(
                f"{variant.name} has a head for instances, for which there is no loss here: choose a model without one"
            )
        self.settings = settings
        self.frames = frames
        self.out = Path(out)
        self.device = _usable(device)
        self.readers = readers
        self._each = map if at_once == 1 else ThreadPoolExecutor(at_once).map
        self.variant = variant
        torch.manual_seed(settings.seed)
        self.model = FlashOcc(self.variant).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for part in map(self.model.get_submodule, settings.frozen):
            part.eval().requires_grad_(False)
        if variant.depth_net:
            self._scale_cameras()
        self.model.to(self.device)
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(settings.average), use_buffers=True)
        self.learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(self.learning, settings.learning_rate, weight_decay=settings.weight_decay)
        self.step = 0
        self.weights = torch.ones(len(self.variant.class_names))
        self.data = data_of(frames)
        if (self.out / "last.pt").exists():
            self._load(self.out / "last.pt")
        else:
            self.weights = class_weights(count_classes(frames, len(self.variant.class_names)))
        self.weights = self.weights.to(self.device)
        self.bins = bin_weights(self.variant.depths(), settings.losses.depth_from).to(self.device)

    def _scale_cameras(self) -> None:
        """Give the batch norm of camera vectors the scale of many frames, and keep it.

        A step sees one frame at a time, and its mirrored BEV is the same for all cameras: by the statistics of a step
        it would be 0 with a variance of 0, and after training any frame would be hundreds away.
        """
        norm = self.model.get_submodule("img_view_transformer.depth_net.bn").eval()
        mean, variance = camera_scale(self.frames, self.variant, self.settings.seed)
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Exchange the random first weights of a run that has not begun.

        Raises:
            TrainError: it has begun.
            RuntimeError: names or shapes are not those of the model (PyTorch's own error lists them).
        """
        if self.step:
            raise TrainError(f"{self.out} is at step {self.step}: first weights are for a run that has not begun")
        self.model.load_state_dict(weights)
        self.averaged.module.load_state_dict(weights)

    def run(
        self, validation: Sequence[Samples] = (), *, report_every: int = 50, save_every: int = 500
    ) -> Iterator[dict[str, float]]:
        """Train to the end; gives a line of the log each `report_every` steps. The caller may stop at any of them.

        A line has the step, seconds a step, the mean of each loss term since the last line and, where the run was saved
        and there are validation frames, `miou` of the averaged weights on them.
        """
        recent: deque[dict[str, float]] = deque(maxlen=report_every)
        begun, first = time.monotonic(), self.step
        for batch in self._batches():
            recent.append(self._update(batch))
            self.step += 1
            saved = self.step % save_every == 0 or self.step == self.settings.steps
            if saved:
                self.save()
            if saved or self.step % report_every == 0:
                means = {name: float(np.mean([terms[name] for terms in recent])) for name in recent[0]}
                seconds = (time.monotonic() - begun) / (self.step - first)
                line = {"step": self.step, "seconds_a_step": seconds, **means}
                if saved and validation:
                    line["miou"] = self.evaluate(validation)
                self._log(line)
                yield line

    def _log(self, line: dict[str, float]) -> None:
        with writing(self.out):
            self.out.mkdir(parents=True, exist_ok=True)  # the first line comes before the first checkpoint
            with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(to_json(line, indent=None) + "\n")

    def _batches(self) -> Iterator[list[Example]]:
        """Batches from the present step on, read ahead in other threads. Equal whether or not the run was stopped."""
        enough = _PREFETCHED * self.readers + self.settings.batch
        wanted = range(self.step * self.settings.batch, self.settings.steps * self.settings.batch)
        with ThreadPoolExecutor(self.readers) as pool:
            ahead: deque[Future[Example]] = deque()
            upcoming = iter(wanted)
            for _ in range(self.settings.steps - self.step):
                while len(ahead) < enough and (index := next(upcoming, None)) is not None:
                    ahead.append(pool.submit(self._example, index))
                yield [ahead.popleft().result() for _ in range(self.settings.batch)]

    def _example(self, index: int) -> Example:
        epoch, position = divmod(index, len(self.frames))
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.frames))
        samples = self.frames[int(order[position])]
        rng = np.random.default_rng([self.settings.seed, 1, index])
        losses = self.settings.losses
        return load_example(samples, self.variant, rng, depth_from=losses.depth_from if losses.depth else None)

    def _update(self, batch: list[Example]) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        torch.manual_seed((self.settings.seed << 32) + self.step)
        sums: dict[str, float] = {}
        self.optimiser.zero_grad(set_to_none=True)
        for terms, gradients in self._each(self._gradients, batch):
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value / len(batch)
            for parameter, gradient in zip(self.learning, gradients, strict=True):
                if gradient is not None:
                    gradient /= len(batch)
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), 5.0))
        if not math.isfinite(norm):
            raise TrainError(
                f"the gradient is not finite at step {self.step}: lower the learning rate; {self.out / 'last.pt'} "
                "holds the run before"
            )
        self.optimiser.step()
        self.averaged.update_parameters(self.model)
        return sums

    def _gradients(self, example: Example) -> tuple[dict[str, float], tuple[Tensor | None, ...]]:
        """The terms of a frame, and what they say about each weight that learns."""
        terms = self._terms(example)
        gradients = torch.autograd.grad(torch.stack(list(terms.values())).sum(), self.learning, allow_unused=True)
        return {name: float(value.detach()) for name, value in terms.items()}, gradients

    def _terms(self, example: Example) -> dict[str, Tensor]:
        example = example.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bf16):
            taps = self.model.taps(normalise(example.images), *example.inputs)
        depth = taps["depth"][: len(example.depth)]  # of the key frame, whose lidar sweep it is
        return total_loss(taps["logits"], depth, example, self.weights, self.bins, self.settings.losses)

    def rate(self, step: int) -> float:
        """Learning rate of a step: a straight rise, then half a cosine to zero."""
        settings = self.settings
        if step < settings.warmup:
            return settings.learning_rate * (step + 1) / settings.warmup
        progress = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    @torch.no_grad()
    def evaluate(self, frames: Sequence[Samples]) -> float:
        """MIoU (camera mask) of the averaged weights, 0..1.

        Raises:
            MetricError: no frame has a voxel that counts.
        """
        metric = MIoU("camera")
        network = self.averaged.module.eval()
        for samples in frames:
            example = load_example(samples, self.variant, None, depth_from=None)
            there = example.to(self.device)
            labels = network(normalise(there.images), *there.inputs).argmax(dim=-1)
            metric.update(labels.cpu().numpy(), example.semantics.numpy(), example.seen.numpy())
        network.train()
        return metric.measured()

    def save(self) -> None:
        """Write `last.pt`, from which a run goes on."""
        content = {
            "settings": asdict(self.settings),
            "step": self.step,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "weights": self.weights,
            "data": self.data,
        }
        with atomic_file(self.out / "last.pt") as temporary:
            torch.save(content, temporary)

    def _load(self, path: Path) -> None:
        try:
            container_of(path)
            content: Any = read_pickle(path)
        except CheckpointError as error:
            raise CheckpointError(f"{path} cannot be read ({error}): delete it to start again") from error
        found = content.get("settings") if isinstance(content, dict) else None
        if not isinstance(found, dict):
            raise CheckpointError(f"{path} is not of a training run: delete it to start again")
        if isinstance(losses := found.get("losses"), dict):  # a run may be older than a setting of the loss
            found = {**found, "losses": {**asdict(LossSettings()), **losses}}
        other = {k: v for k, v in asdict(self.settings).items() if k != "steps" and found.get(k) != v}
        if other:  # a run may be made longer or shorter; anything else makes it another run
            differing = ", ".join(f"{name} {found.get(name)} there, {value} asked" for name, value in other.items())
            raise CheckpointError(f"{path} is of another run ({differing}): give the same settings or another folder")
        self._check_data(path, content.get("data"))
        try:
            self.model.load_state_dict(content["model"])
            self.averaged.load_state_dict(content["averaged"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.step, self.weights = int(content["step"]), content["weights"]
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{path} does not hold a whole run ({error}): delete it to start again") from error

    def _check_data(self, path: Path, found: Mapping[str, Any] | None) -> None:
        if found is None:
            warn(f"{path} is of an older occvino and does not say what data it learns from: make sure it is the same")
        elif found["frames"] != self.data["frames"] or found["files"] != self.data["files"]:
            raise CheckpointError(
                f"{path} has learnt from {found['frames']} frames whose files and calibration are not those of the "
                f"{self.data['frames']} frames given now: give the same data, or another folder"
            )
        elif found["times"] != self.data["times"]:
            warn(
                f"files of the data have other times than when {path} was begun, and the same sizes: if they are other "
                "images or labels and no copy, start anew in another folder"
            )

    def export(self, path: str | Path) -> None:
        """Write the averaged weights as safetensors, under the names that `build` takes.

        Weights are in half precision; statistics of batch norms are not: those of camera vectors do not fit it.
        """
        from safetensors.torch import save_file

        halved = {name for name, _ in self.averaged.module.named_parameters()}
        state = {
            key: (value.half() if key in halved else value).cpu().contiguous()
            for key, value in self.averaged.module.state_dict().items()
        }
        metadata = {"variant": self.variant.name, "steps": str(self.step), "format": "pt"}
        with atomic_file(Path(path)) as temporary:
            save_file(state, temporary, metadata)


def _usable(device: str) -> torch.device:
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as error:  # of a PyTorch without CUDA: an AssertionError
        raise TrainError(f"device {device!r} is not usable here ({error}): choose 'cpu'") from error
    return found


def data_of(frames: Sequence[Samples]) -> dict[str, Any]:
    """What a run learns from: the number of frames, and hashes of their files' sizes and calibration, and of times."""
    files, times = hashlib.sha256(), hashlib.sha256()
    for sample in (sample for samples in frames for sample in samples):
        files.update(repr((sample.token, sample.scene, sample.timestamp)).encode())
        files.update(sample.ego2global.tobytes() + sample.lidar2ego.tobytes() + sample.rig.fingerprint())
        for path in (*sample.images, sample.labels, sample.lidar):
            told = path.stat() if path.is_file() else None
            files.update(f"{path.name} {told and told.st_size}\n".encode())
            times.update(f"{told and told.st_mtime_ns}\n".encode())
    return {"frames": len(frames), "files": files.hexdigest(), "times": times.hexdigest()}


def count_classes(frames: Sequence[Samples], classes: int) -> Tensor:
    """How often each class occurs in voxels that cameras see, in at most 100 frames of the set, [classes]."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(_COUNTED_FRAMES, len(frames))).round().astype(int))
    counts = np.zeros(classes, np.int64)
    for index in chosen:
        labels = frames[int(index)][0].load_labels()
        counts += np.bincount(labels.semantics[labels.mask_camera], minlength=classes)
    return torch.from_numpy(counts)


def camera_scale(frames: Sequence[Samples], variant: Variant, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of camera vectors over frames with random changes, [27] each.

    A value that never differs keeps its unit: its variance is given as 1.
    """
    rng = np.random.default_rng([seed, 2])
    chosen = np.linspace(0, len(frames) - 1, _CAMERA_DRAWS).round().astype(int)
    vectors = np.concatenate([random_cameras(frames[int(index)], variant, rng) for index in chosen]).astype(np.float64)
    variance = vectors.var(axis=0)
    scale = np.where(variance < _CONSTANT, 1.0, variance)
    return torch.from_numpy(vectors.mean(axis=0)).float(), torch.from_numpy(scale).float()
