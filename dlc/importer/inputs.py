"""The types of a model's inputs, with every symbolic dim fixed or bounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import onnx

from dlc.errors import ModelError, UnsupportedError, VerifyError
from dlc.ir.sizes import AtMost
from dlc.ir.types import Dim, DType, Symbol, TensorType
from dlc.ops.onnx.inference import MAX_BYTES

Open = str | None  # a dim's name, None when it has none
Declared = list[int | Open] | None  # None: not even the rank is known


def bind_inputs(
    infos: Sequence[onnx.ValueInfoProto], dims: Mapping[str, int | AtMost],
    shapes: Mapping[str, Sequence[int]], notify: Callable[[str], None],
) -> list[tuple[str, TensorType]]:  # fmt: skip
    """Names and types of the inputs.

    A dim is what the model says, else what ``shapes`` or ``dims`` say (a size known at run time
    where they say ``AtMost``), else, if it leads, 1 with a notice. A dim without a name is called
    ``INPUT.AXIS``. Names that are no dims, but bounded, are for sizes inside the model.
    ModelError names the option that fixes a dim left open.
    """
    declared = {info.name: _named(info.name, declared_shape(info), dims) for info in infos}
    bound = {name: _size(size, f"dim {name!r}") for name, size in dims.items()}
    names = {dim for shape in declared.values() for dim in shape or () if isinstance(dim, str)}
    inside = {name for name, size in dims.items() if isinstance(size, AtMost)}
    _known("dim", set(bound) - inside, sorted(names))
    _known("input", shapes, list(declared))
    fixed = {
        name: _apply(name, shapes[name], shape, bound) if name in shapes else shape
        for name, shape in declared.items()
    }
    for name, shape in fixed.items():
        if shape and not isinstance(shape[0], int) and (shape[0] is None or shape[0] not in bound):
            what = f"dim {shape[0]!r}" if shape[0] else "the leading dim"
            option = f"--dim {shape[0]}=SIZE" if shape[0] else f"--shape {_example(name, shape)}"
            notify(f"{what} of input {name!r} is not fixed and becomes 1 ({option} changes it)")
            if shape[0] is None:
                shape[0] = 1
            else:
                bound[shape[0]] = 1
    return [(info.name, _type(info, fixed[info.name], bound)) for info in infos]


def _named(name: str, shape: Declared, dims: Mapping[str, object]) -> Declared:
    """The shape with nameless dims that ``dims`` speaks of named."""
    if shape is None:
        return None
    return [
        f"{name}.{axis}" if dim is None and f"{name}.{axis}" in dims else dim
        for axis, dim in enumerate(shape)
    ]


def _known(kind: str, given: Collection[str], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            listed = ", ".join(map(repr, names)) or "none"
            raise ModelError(f"the model has no {kind} {name!r} to fix; it has {listed}")


def _size(size: int | AtMost, what: str) -> int | AtMost:
    if isinstance(size, AtMost):
        return AtMost(int(_size(size.bound, what)))  # type: ignore[arg-type]
    if size < 0:
        raise ModelError(f"{what} cannot be {size}; sizes are 0 or more")
    return int(size)


def declared_shape(info: onnx.ValueInfoProto) -> Declared:
    """The declared shape of a tensor: sizes, names of symbolic dims, None for nameless ones."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    shape: list[int | Open] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            # some exporters write -1 for a size they do not know
            if dim.dim_value < -1:
                raise ModelError(f"value {info.name!r} declares the negative size {dim.dim_value}")
            shape.append(dim.dim_value if dim.dim_value >= 0 else None)
        else:
            shape.append(dim.dim_param or None)
    return shape


def _apply(
    name: str, given: Sequence[int], shape: Declared, bound: dict[str, int | AtMost]
) -> Declared:
    """The given shape, which must fit the declared one; it fixes the dims it names."""
    sizes = [int(_size(size, f"a size of input {name!r}")) for size in given]  # type: ignore[arg-type]
    if shape is None:
        return list(sizes)
    if len(sizes) != len(shape):
        raise ModelError(f"input {name!r} has {len(shape)} dims, but --shape gives {len(sizes)}")
    for dim, size in zip(shape, sizes, strict=True):
        before = dim if isinstance(dim, int) else bound.setdefault(dim, size) if dim else size
        if before != size:
            raise ModelError(
                f"input {name!r} cannot have the shape {'x'.join(map(str, sizes))}: {size} stands "
                f"where the model or another option says {before}"
            )
    return list(sizes)


def _type(
    info: onnx.ValueInfoProto, shape: Declared, bound: Mapping[str, int | AtMost]
) -> TensorType:
    name = info.name
    if not info.type.HasField("tensor_type"):
        kind = str(info.type.WhichOneof("value") or "unknown").removesuffix("_type")
        raise UnsupportedError(f"input {name!r} is of kind {kind}; only tensors are supported")
    try:
        dtype = DType.of(info.type.tensor_type.elem_type)
    except VerifyError as error:
        raise ModelError(f"input {name!r}: {error}") from None
    if shape is None:
        raise ModelError(f"input {name!r} declares no shape; give it as --shape {name}=1x3x224x224")
    sizes: list[Dim] = []
    for axis, dim in enumerate(shape):
        size = dim if isinstance(dim, int) else bound.get(dim) if dim else None
        if size is None:
            name_of = dim or f"{name}.{axis}"
            option = f"--dim {name_of}=SIZE, --max {name_of}=SIZE (any size up to that) or "
            raise ModelError(
                f"dim {axis} of input {name!r} is not fixed; give it with {option}"
                f"--shape {_example(name, shape)}"
            )
        sizes.append(Symbol(str(dim), size.bound) if isinstance(size, AtMost) else size)
    type = TensorType(dtype, tuple(sizes))
    if type.nbytes > MAX_BYTES:
        raise ModelError(f"input {name!r} of type {type} is too large to be meant")
    return type


def _example(name: str, shape: Sequence[int | Open]) -> str:
    return f"{name}={'x'.join(str(d) if isinstance(d, int) else 'N' for d in shape)}"
