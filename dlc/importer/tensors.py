"""Tensors of a model as arrays; external data is read from inside the model's folder only."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import onnx
from onnx import numpy_helper

from dlc.errors import ModelError, VerifyError
from dlc.ir.operator import Array
from dlc.ir.types import DType


def to_array(tensor: onnx.TensorProto, folder: Path | None) -> Array:
    """The array of a tensor; ModelError when its type, size or place does not hold up."""
    name = tensor.name or "a tensor"
    try:
        dtype = DType.of(tensor.data_type)
    except VerifyError as error:
        raise ModelError(f"tensor {name!r}: {error}") from None
    if any(dim < 0 for dim in tensor.dims):
        raise ModelError(f"tensor {name!r} has a negative size: {list(tensor.dims)}")
    if tensor.HasField("segment"):
        raise ModelError(f"tensor {name!r} is stored in segments, which ONNX does not define")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor = _with_external_data(tensor, dtype, folder)
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # a malformed tensor makes it raise almost anything
        raise ModelError(
            f"tensor {name!r} does not hold the {list(tensor.dims)} {dtype.value} elements it "
            f"declares: {' '.join(str(error).split())}"
        ) from None
    return array.astype(object) if dtype is DType.STRING else array


def _with_external_data(
    tensor: onnx.TensorProto, dtype: DType, folder: Path | None
) -> onnx.TensorProto:
    name = tensor.name or "a tensor"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if folder is None:
        raise ModelError(f"tensor {name!r} lies in another file; load the model from its path")
    if dtype is DType.STRING:
        raise ModelError(f"tensor {name!r}: strings cannot be external data")
    path = _inside(folder, entries.get("location", ""), name)
    count = math.prod(tensor.dims)
    size = -(-count // dtype.per_byte) if dtype.per_byte > 1 else count * dtype.nbytes
    offset, length = _number(entries, "offset", 0, name), _number(entries, "length", size, name)
    if length != size:
        raise ModelError(f"tensor {name!r} takes {size} bytes, but its external data has {length}")
    try:
        if offset + length > path.stat().st_size:
            raise ModelError(
                f"tensor {name!r} needs bytes {offset} to {offset + length} of {path}, which ends "
                f"earlier; the file is cut short or not the model's"
            )
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except OSError as error:
        raise ModelError(f"cannot read {path} for {name!r}: {error.strerror or error}") from None
    return onnx.TensorProto(
        name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, raw_data=data
    )


def _inside(folder: Path, location: str, name: str) -> Path:
    """The file a tensor refers to, if links and all it lies inside the model's folder."""
    parts = PurePosixPath(location.replace("\\", "/"))
    if not location or "\0" in location or parts.is_absolute() or ".." in parts.parts or (
        PureWindowsPath(location).drive
    ):  # fmt: skip
        raise ModelError(
            f"tensor {name!r} refers to the file {location!r}; only files in the model's folder are "
            f"read"
        )
    root = folder.resolve()
    path = (root / parts).resolve()
    if not path.is_relative_to(root):
        raise ModelError(f"tensor {name!r} refers through a link to {path}, outside {root}")
    if not path.is_file():
        raise ModelError(f"the file {location!r} with the data of {name!r} is missing in {root}")
    return path


def _number(entries: dict[str, str], key: str, default: int, name: str) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ModelError(f"tensor {name!r}: external data {key} {text[:20]!r} is not a number")
    return int(text)


def constant_array(node: onnx.NodeProto, folder: Path | None) -> Array:
    """The array of a Constant node, in whichever of its forms."""
    if len(node.attribute) != 1:
        raise ModelError(f"Constant node {node.name!r} has {len(node.attribute)} values, not one")
    value = node.attribute[0]
    if value.name == "value" and value.HasField("t"):
        return to_array(value.t, folder)
    if value.name == "value_float":
        return np.array(value.f, np.float32)
    if value.name == "value_floats":
        return np.array(value.floats, np.float32)
    if value.name == "value_int":
        return np.array(value.i, np.int64)
    if value.name == "value_ints":
        return np.array(value.ints, np.int64)
    if value.name == "value_string":
        return np.array(_text(value.s), object)
    if value.name == "value_strings":
        return np.array([_text(item) for item in value.strings], object)
    raise ModelError(
        f"Constant node {node.name!r} holds its value as {value.name!r}, which is not supported; "
        f"store a dense tensor"
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
