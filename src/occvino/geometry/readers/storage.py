"""OpenCV's FileStorage: YAML, XML or JSON, read into plain values and arrays without OpenCV.

Source of the format: OpenCV's tutorial "File Input and Output using XML / YAML / JSON files".
"""

from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

from occvino.errors import RigError
from occvino.files import from_json
from occvino.geometry.readers.fields import read_text
from occvino.geometry.readers.yaml_text import is_matrix, load_yaml, matrix_of

_EXPECTED = "a calibration of OpenCV's FileStorage: YAML, XML or JSON"


def load_storage(path: Path) -> dict[str, Any]:
    """The top-level values of a FileStorage file by name; matrices are arrays.

    Raises:
        RigError: the file cannot be read, is of no such format, or has no names at the top.
    """
    text = read_text(path, _EXPECTED)
    try:
        document = _document(path, text)
        if not isinstance(document, dict) or not document:
            raise RigError(f"{path} holds no named values, expected {_EXPECTED}")
        return {str(name): _plain(value) for name, value in cast(dict[Any, Any], document).items()}
    except RigError as error:
        raise RigError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def _document(path: Path, text: str) -> Any:
    start = text.lstrip()[:1]
    if start == "<":
        return _from_xml(path, text)
    if start == "{":
        try:
            return from_json(text)
        except ValueError as error:
            raise RigError(f"{path} is not JSON: {error}") from error
    return load_yaml(path, text)


def _from_xml(path: Path, text: str) -> Any:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise RigError(f"{path} declares a document type, which OpenCV never writes: remove it")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise RigError(f"{path} is not XML: {error}") from error
    if root.tag != "opencv_storage":
        raise RigError(f"{path}: the outermost element is <{root.tag}>, expected <opencv_storage>: {_EXPECTED}")
    twice = sorted({child.tag for child in root if len(root.findall(child.tag)) > 1})
    if twice:
        raise RigError(f"{path}: {', '.join(twice)} stands twice: remove one")
    return {child.tag: _value(child, 0) for child in root}


def _value(element: ElementTree.Element, depth: int) -> Any:
    """Of one element: named values, a list, a number or text."""
    if depth > 20:
        raise RigError(f"<{element.tag}> is nested too deep")
    children = list(element)
    if children and all(child.tag == "_" for child in children):
        return [_value(child, depth + 1) for child in children]
    if children:
        values = {child.tag: _value(child, depth + 1) for child in children}
        return {**values, "data": _listed(values["data"])} if is_matrix(values) else values
    words = (element.text or "").split()
    return words if len(words) > 1 else "".join(words).strip('"')


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """The value, with an array in the place of a matrix that has no tag, as in XML, in JSON and in files of ROS."""
    return matrix_of(cast(dict[str, Any], value)) if is_matrix(value) else value
