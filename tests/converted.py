"""What several tests read is made once a run, by whichever test or process of pytest asks first.

That is artifacts, and the ONNX files from which others are made.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from occvino.artifact import Artifact
from occvino.variants import get_variant

_STORE = "OCCVINO_TESTS_CONVERTED"
_PLAIN = (str, int, tuple, type(None))


def converted(name, checkpoint, out, **options):
    """`convert(name, checkpoint, out, **options)`, of which `out` is a copy. Options are words and numbers."""
    from filelock import FileLock  # here and not above, since the server's tests have none of the convert extra

    from occvino.conversion import convert

    assert all(isinstance(value, _PLAIN) for value in options.values()), options
    asked = (get_variant(name), checkpoint and str(checkpoint), sorted(options.items()))
    place = Path(os.environ[_STORE], hashlib.sha256(repr(asked).encode()).hexdigest()[:16])
    with FileLock(f"{place}.lock"):
        if not place.exists():
            convert(name, checkpoint, place, **options)
    return Artifact.open(shutil.copytree(place, out))


def exported_once(export):
    """`export_onnx` that writes a network once; who asks for it again gets a copy. The exporter takes 8 s or more."""
    from filelock import FileLock

    def exported(model, path, **options):
        place = Path(os.environ[_STORE], f"{_digest(model, options)}.onnx")
        with FileLock(f"{place}.lock"):
            if not place.exists():
                part = Path(f"{place}.part")
                export(model, part, **options)
                part.rename(place)
        shutil.copyfile(place, path)

    return exported


def _digest(model, options):
    baked = options.get("baked") or {}
    plain = {name: value for name, value in options.items() if name != "baked"}
    found = hashlib.sha256(repr((model.variant, sorted(plain.items()))).encode())
    arrays = {**{name: tensor.numpy() for name, tensor in model.state_dict().items()}, **baked}
    for name, array in arrays.items():
        found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def begin():
    """Make the store, whose place the processes of pytest-xdist inherit; gives its place to who made it."""
    if _STORE in os.environ:
        return None
    os.environ[_STORE] = tempfile.mkdtemp(prefix="occvino-tests-")
    return os.environ[_STORE]
