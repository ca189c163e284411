"""The forms in which labels are stored, as bytes of one frame.

npz       what `occvino run` writes: `labels`, `class_names`, `grid`, and `instances` of a panoptic model
occ3d     Occ3D's submission: one array `arr_0` u8 [200, 200, 16], as `np.savez_compressed(path, labels)` writes it
parquet   as npz until there are enough for a shard (`scale.shards`)

Source of the submission's layout: `format_results` of FlashOCC and BEVDet, `<sample token>.npz`.
"""

import hashlib
import io
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from occvino.errors import OccvinoError
from occvino.labelling.stored import mark
from occvino.runtime import Occupancy

Form: TypeAlias = Literal["npz", "parquet", "occ3d"]
FORMS: tuple[Form, ...] = get_args(Form)


def form_of(name: str) -> Form:
    """The form of that name.

    Raises:
        OccvinoError: there is no such form.
    """
    for form in FORMS:
        if form == name:
            return form
    raise OccvinoError(f"there is no format {name!r}: choose one of {', '.join(FORMS)}")


def digest(labels: NDArray[np.uint8], instances: NDArray[np.uint16] | None = None) -> str:
    """Hash of what a frame was labelled with, the same in every form.

    sha256 of the labels u8, then the instance ids u16, little-endian in C order.
    """
    found = hashlib.sha256(np.ascontiguousarray(labels).data)
    if instances is not None:
        found.update(np.ascontiguousarray(instances, "<u2").data)
    return found.hexdigest()


def encode(form: Form, found: Occupancy, frame: str) -> bytes:
    """What is stored of a frame. `frame`: its mark, which archives carry as their comment."""
    file = io.BytesIO()
    if form == "occ3d":
        np.savez_compressed(file, found.labels)
    else:
        extras: Mapping[str, Any] = {} if found.instances is None else {"instances": found.instances}
        Occupancy(found.labels, found.class_names, found.grid, dict(extras)).write(file)
    mark(file, frame)
    return file.getvalue()
