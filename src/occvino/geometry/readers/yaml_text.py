"""YAML of calibrations by PyYAML's safe loader, which makes plain values and runs nothing."""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np

from occvino.errors import RigError
from occvino.geometry.transforms import Matrix

_MATRIX_TAG = "tag:yaml.org,2002:opencv-"
_HEAD = re.compile(r"\A\s*%YAML:1\.\d\s*?\n")
"""OpenCV's first line, which YAML's own grammar does not take for a directive."""


def load_yaml(path: Path, text: str) -> Any:
    """The one document of a YAML text; matrices of OpenCV (`!!opencv-matrix`) are arrays.

    Raises:
        RigError: PyYAML is missing, the text is no YAML, or a key stands twice in one place.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise RigError(f'{path}: YAML is read by PyYAML: pip install "occvino[rig]"') from error

    class Loader(yaml.SafeLoader):
        """A class of its own: constructors are added to classes, and others use yaml's."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            """As the parent does, but a key that stands twice, of which the last would win, is an error."""
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            twice = sorted({str(key) for key in keys if keys.count(key) > 1})
            if twice:
                raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} stands twice", node.start_mark)
            return cast(dict[Any, Any], super().construct_mapping(node, deep))

    def matrix(loader: Any, _: str, node: Any) -> Matrix:
        return matrix_of(loader.construct_mapping(node, deep=True))

    Loader.add_multi_constructor(_MATRIX_TAG, matrix)
    try:
        return yaml.load(_HEAD.sub("", text), Loader)  # a SafeLoader: it makes plain values only
    except RigError as error:
        raise RigError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = "it is nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise RigError(f"{path} is not YAML: {told}") from error


def is_matrix(value: Any) -> bool:
    """Whether named values are a matrix of OpenCV, tagged or not."""
    return isinstance(value, dict) and "data" in value and ("rows" in value or "sizes" in value)


def matrix_of(values: dict[str, Any]) -> Matrix:
    """A matrix of OpenCV's FileStorage: rows, cols (or sizes) and data, with channels last where it has several.

    Raises:
        RigError: the size does not fit the data, or they are no numbers.
    """
    try:
        sizes = values["sizes"] if "sizes" in values else [values["rows"], values["cols"]]
        shape = [int(size) for size in (sizes if isinstance(sizes, list) else [sizes])]
        data = np.array([float(number) for number in values["data"]])
    except (KeyError, TypeError, ValueError) as error:
        raise RigError(f"a matrix cannot be read ({error}): expected rows, cols, dt and data") from error
    channels = re.match(r"\d+", str(values.get("dt", "")))
    if channels and int(channels[0]) > 1:
        shape.append(int(channels[0]))
    if min(shape, default=0) < 1 or np.prod(shape) != data.size:
        raise RigError(f"a matrix of size {shape} has {data.size} numbers: the file is cut off, or was edited")
    return data.reshape(shape)
