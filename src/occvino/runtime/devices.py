"""What OpenVINO is asked for, and what it says it does."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import openvino as ov

from occvino.errors import DeviceError
from occvino.files import cannot_write, no_room, of_the_disk
from occvino.runtime.names import COMPUTED, DEVICES, STAND_BEFORE, computed_precision, device_name, precision_name
from occvino.runtime.sampling_order import in_turn

OLDEST = (2026, 1)
"""The first OpenVINO release in which an artifact was seen to run; CI runs the one in constraints.txt."""

Hint: TypeAlias = Literal["latency", "throughput"]


@dataclass(frozen=True)
class Settings:
    """How to compile. What is left out is the device's own choice.

    Args:
        precision: what to compute in, "fp32", "fp16" or "bf16"; other spellings of these are read too.
        threads: of the CPU plugin.
        hint: "latency", one frame as soon as possible, or "throughput", many frames in all.
        streams: how many inferences run side by side on a device.
        cache: folder for compiled models; made where it is missing.

    Raises:
        DeviceError: there is no such precision to compute in.
    """

    precision: str | None = None
    threads: int | None = None
    hint: str | None = None
    streams: int | None = None
    cache: str | Path | None = None

    def __post_init__(self) -> None:
        if self.precision is not None:
            object.__setattr__(self, "precision", computed_precision(self.precision))

    def properties(self) -> dict[str, Any]:
        """As OpenVINO takes them.

        Raises:
            DeviceError: a value that is none.
        """
        if self.hint is not None and self.hint not in get_args(Hint):
            raise DeviceError(f"hint={self.hint!r}: expected one of {', '.join(get_args(Hint))}")
        for name in ("threads", "streams"):
            number = getattr(self, name)
            if number is not None and (type(number) is not int or number < 1):
                raise DeviceError(f"{name}={number!r}: expected a whole number from 1 up")
        found = {
            "INFERENCE_PRECISION_HINT": self.precision and COMPUTED[self.precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": self.hint and self.hint.upper(),
            "NUM_STREAMS": self.streams,
            "CACHE_DIR": self.cache and str(self.cache),
        }
        return {name: value for name, value in found.items() if value is not None}

    def of_stage(self, device: str) -> "Settings":
        """The same for one stage of a split run: only the CPU plugin takes threads, behind HETERO or AUTO too."""
        return self if has_cpu(device) else replace(self, threads=None)

    def beside(self) -> "Settings":
        """The same for a stage that runs on the CPU beside the device that was asked for: always fp32."""
        return replace(self, precision="fp32", threads=None)


@dataclass(frozen=True)
class Running:
    """Read back from the compiled model: what really runs. "unknown" and None stand for what a device does not tell.

    Attributes:
        requested: the device string that was asked for.
        devices: that execute. AUTO gives one in brackets while it stands in for another that is still being loaded.
        precision: what they compute in.
        threads: of the CPU plugin.
        hint: "latency" or "throughput".
        streams: inferences that run side by side on a device.
        requests: how many inferences to have under way, in the device's own opinion.
        from_cache: the compiled model was read from the cache folder; None where there is none.
        stages: the same for each stage of a split run; the fields above then sum these up.
        jpeg_decoder: what decodes JPEG files on the host, and its version; None for a stage or a model by itself, which
            take no files.
    """

    requested: str
    devices: tuple[str, ...]
    precision: str
    threads: int | None
    hint: str = "unknown"
    streams: int | None = None
    requests: int = 1
    from_cache: bool | None = None
    stages: Mapping[str, "Running"] = field(default_factory=dict[str, "Running"])
    jpeg_decoder: str | None = None

    def __str__(self) -> str:
        parts = [f"{name}: {stage}" for name, stage in self.stages.items()] or [self._on_devices()]
        return "; ".join(parts + ([f"JPEG by {self.jpeg_decoder}"] if self.jpeg_decoder else []))

    def _on_devices(self) -> str:
        words = [self.precision]
        words += [f"{self.threads} threads"] if self.threads else []
        words += [f"{self.hint} hint"] if self.hint != "unknown" else []
        words += [f"{self.streams} streams"] if self.streams and self.streams > 1 else []
        words += ["from the cache"] if self.from_cache else []
        return f"{self.requested} -> {' + '.join(self.devices)}, {', '.join(words)}"

    @property
    def computes(self) -> str:
        """Devices and precision, in words: labels follow from these, and not from what only makes them come sooner."""
        parts = [f"{name}: {stage.computes}" for name, stage in self.stages.items()]
        return "; ".join(parts) or f"{' + '.join(self.devices)}, {self.precision}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def of_stages(cls, stages: Mapping[str, "Running"]) -> "Running":
        """Several stages summed up."""
        parts = stages.values()
        return cls(
            requested=", ".join(f"{name}={part.requested}" for name, part in stages.items()),
            devices=tuple(dict.fromkeys(device for part in parts for device in part.devices)),
            precision=_all(part.precision for part in parts),
            threads=max((part.threads for part in parts if part.threads), default=None),
            hint=_all(part.hint for part in parts),
            streams=max((part.streams for part in parts if part.streams), default=None),
            requests=sum(part.requests for part in parts),
            from_cache=None if any(part.from_cache is None for part in parts) else all(p.from_cache for p in parts),
            stages=dict(stages),
        )


def has_cpu(device: str) -> bool:
    """Whether a device string may mean the CPU: "CPU", "HETERO:GPU,CPU", "AUTO:CPU", or "AUTO", which names none."""
    return device == "AUTO" or any(name.startswith("CPU") for name in re.split("[:,]", device))


def has_matrix_engines(device: str) -> bool:
    """Whether a GPU has matrix engines (XMX), in OpenVINO's words; True of a device that is not here."""
    try:
        return "GPU_HW_MATMUL" in ov.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return True


def check_release(version: str) -> None:
    """Refuse an OpenVINO that is too old.

    Raises:
        DeviceError: names both versions and the command that fixes it.
    """
    release = re.match(r"(\d+)\.(\d+)", version)
    if release and (int(release[1]), int(release[2])) < OLDEST:
        installed, oldest = version.split("-")[0], ".".join(map(str, OLDEST))
        fix = f'pip install -U "openvino>={oldest}"'
        raise DeviceError(f"OpenVINO {installed} is installed, {oldest} or newer is needed: {fix}")


def compile_model(
    model: ov.Model, device: str, settings: Settings | None = None, more: Mapping[str, str] | None = None
) -> ov.CompiledModel:
    """Compile for any OpenVINO device string, and see that what was asked for is what runs.

    Args:
        model: an IR.
        device: "CPU", "GPU", "NPU", "AUTO", "HETERO:GPU,CPU"..., in capitals or not.
        settings: what else is asked for.
        more: properties of the device, which are not read back.

    Raises:
        DeviceError: there is no such device, it cannot run the model, or it does otherwise than it was asked to.
        OutputError: there is no room for the compiled model in the cache.
    """
    settings = settings or Settings()
    device = checked_device(device)
    core = ov.Core()
    properties = settings.properties() | dict(more or {})
    if device.startswith("AUTO") and set(properties) - {"CACHE_DIR"}:
        properties["ENABLE_STARTUP_FALLBACK"] = False  # else the CPU stands in at first, and what it does is read back
    kept = _make_cache(Path(settings.cache)) if settings.cache else None
    try:
        compiled = core.compile_model(in_turn(model) if "GPU" in device else model, device, properties)
    except RuntimeError as error:
        _check_room(model, settings)
        available = ", ".join(core.available_devices) or "none"
        raise DeviceError(f"{device} cannot run this model (devices here: {available}): {error}") from error
    given = running(compiled, device, cache=settings.cache is not None)
    _check(given, settings)
    if settings.cache and not given.from_cache and _files(Path(settings.cache)) == kept:
        _check_room(model, settings)
        raise DeviceError(f"{device} kept no compiled model in {settings.cache}: leave cache out to accept that")
    return compiled


def checked_device(device: str) -> str:
    """A device string as OpenVINO writes it; each device that it names is here, or is left to AUTO and the like.

    Raises:
        DeviceError: there is no such device; lists those there are.
    """
    name, here = device_name(device), ov.Core().available_devices
    before, _, behind = name.rpartition(":")
    known = {each.split(".")[0] for each in here}.union(DEVICES if before in STAND_BEFORE else STAND_BEFORE)
    unknown = [each for each in behind.split(",") if re.sub(r"^-|[.(].*$", "", each) not in known]
    if unknown or before not in ("", *STAND_BEFORE):
        meant = f"did you mean {before}.{behind}? " if before in DEVICES and behind.isdecimal() else ""
        told, listed = unknown[0] if before in STAND_BEFORE else name or repr(device), ", ".join(here) or "none"
        raise DeviceError(
            f"there is no device {told}: {meant}devices here: {listed}; AUTO takes one of them, HETERO:A,B several"
        )
    return name


def _make_cache(folder: Path) -> dict[str, tuple[int, int]]:
    """What is in the folder. OpenVINO goes without a cache, and says nothing, where there is a file of that name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _files(folder)
    except OSError as error:
        if of_the_disk(error):
            raise cannot_write(f"a compiled model to cache={folder}", error) from error
        raise DeviceError(f"cache={folder} cannot be a folder of compiled models: {error.strerror or error}") from error


def _check_room(model: ov.Model, settings: Settings) -> None:
    """Say so if there is no room for the compiled model, of which OpenVINO says nothing: it holds all weights."""
    weights = sum(op.get_byte_size() for op in model.get_ops() if isinstance(op, ov.op.Constant))
    if settings.cache and (reason := no_room(Path(settings.cache), weights)):
        raise cannot_write(f"a compiled model to cache={settings.cache}", reason)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Times and sizes of files, by name: OpenVINO writes a model that it cannot read anew, in its old place."""
    found: dict[str, tuple[int, int]] = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # of another process that is about to rename it
            told = path.stat()
            found[path.name] = told.st_mtime_ns, told.st_size
    return found


def _check(given: Running, asked: Settings) -> None:
    device = given.requested
    if asked.precision and given.precision == "unknown":
        raise DeviceError(
            f"{device} does not tell what it computes in, {asked.precision} was asked for: name the device that is to "
            "run it (CPU, GPU, NPU), or leave precision out"
        )
    if asked.precision and given.precision != asked.precision:
        raise DeviceError(
            f"{device} computes in {given.precision}, {asked.precision} was asked for: leave precision out to accept "
            "that"
        )
    for name in ("hint", "threads", "streams"):
        found, wanted = getattr(given, name), getattr(asked, name)
        if wanted is not None and found != wanted:
            raise DeviceError(f"{device} runs with {name}={found}, {wanted} was asked for: leave {name} out")


def running(compiled: ov.CompiledModel, requested: str, *, cache: bool = False) -> Running:
    """What a compiled model says of itself. AUTO and HETERO tell of the devices that they use, one by one."""
    devices = _property(compiled, "EXECUTION_DEVICES")
    devices = (
        tuple(str(name) for name in devices) if isinstance(devices, list | tuple) else (str(devices or requested),)
    )
    threads = [int(value) for value in _values(compiled, "INFERENCE_NUM_THREADS") if value]
    streams = [int(value) for value in _values(compiled, "NUM_STREAMS") if value]
    return Running(
        requested,
        devices,
        precision=_all(_type_name(value) for value in _values(compiled, "INFERENCE_PRECISION_HINT")),
        threads=max(threads, default=None),
        hint=_all(_hint_name(value) for value in _values(compiled, "PERFORMANCE_HINT")),
        streams=max(streams, default=None),
        requests=int(_property(compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS") or 1),
        from_cache=bool(_property(compiled, "LOADED_FROM_CACHE")) if cache else None,
    )


def _values(compiled: ov.CompiledModel, name: str) -> list[Any]:
    """A property of the device, or of each of the devices behind HETERO, AUTO and the like; None where untold."""
    own = _property(compiled, name)
    behind = _property(compiled, "DEVICE_PROPERTIES") if own is None else None
    return [properties.get(name) for properties in behind.values()] if behind else [own]


def _property(compiled: ov.CompiledModel, name: str) -> Any:
    try:
        return compiled.get_property(name)
    except RuntimeError:  # not every plugin has every property
        return None


def _all(values: Iterable[str]) -> str:
    """The one value of all, or the different ones."""
    return " + ".join(dict.fromkeys(values)) or "unknown"


def _type_name(value: Any) -> str:
    return precision_name(value.get_type_name()) if isinstance(value, ov.Type) else "unknown"


def _hint_name(value: Any) -> str:
    """The GPU plugin gives an enumerator, the CPU plugin its name."""
    return "unknown" if value is None else str(value).rpartition(".")[2].lower()


def openvino_version() -> str:
    """Of OpenVINO, as "2026.4.1"."""
    return str(ov.__version__).split("-")[0]


def devices_here() -> dict[str, str]:
    """What each device says of itself and of what it computes in, by name; a driver's own failure in its place."""
    core, found = ov.Core(), dict[str, str]()
    for name in core.available_devices:
        try:
            kinds = [str(kind) for kind in core.get_property(name, "OPTIMIZATION_CAPABILITIES")]
            computes = ", ".join(sorted(kind for kind in kinds if kind in ("FP32", "FP16", "BF16", "INT8")))
            found[name] = f"{core.get_property(name, 'FULL_DEVICE_NAME')}; {computes}"
        except RuntimeError as error:
            found[name] = f"does not answer: {str(error).splitlines()[0]}"
    return found
