"""Models of one op whose sizes, indices and counts come at run time, and inputs in and out of range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn
from numpy.lib.array_utils import normalize_axis_index
from onnx import TensorProto, helper

from dlc.ir.sizes import AtMost

MOST = 6
"""The bound of every symbolic dim."""
ROOM = 24
LARGEST = 100_000
"""More elements than any bound allows."""
"""The bound of every result that nothing else bounds, in elements."""
LEAST, GREATEST = -(2**63), 2**63 - 1
Arrays = dict[str, Any]

#: mostly what may be meant, then the edges of what arithmetic can do
small = st.integers(-4, 8)
edges = st.sampled_from(
    [LEAST, LEAST + 1, GREATEST, GREATEST - 1, 2**31, -(2**31), 2**32 + 1, 2**62, -(2**62), 100]
)
numbers = st.one_of(small, small, small, edges)
strange = st.sampled_from([0.0, 1.0, -1.5, 0.25, 2.0, 3.5, np.nan, np.inf, -np.inf, 1e30, -1e30])


@dataclass(frozen=True)
class Case:
    """One node. ``shapes`` of inputs: ints and names of dims; ``dtypes`` by name, f32 otherwise."""

    type: str
    shapes: dict[str, Sequence[int | str]]
    dtypes: dict[str, Any]
    values: dict[str, st.SearchStrategy[Any]]
    attributes: dict[str, Any]
    names: Sequence[str]
    outputs: int
    elements: Callable[[Arrays], int] | None
    """How many elements the result would have, where inputs say so; too many must be refused."""
    oracle: Callable[[Arrays], Any] | None
    """The results, where onnxruntime is not strict; ValueError where the inputs mean nothing."""
    model: onnx.ModelProto


def case(type: str, shapes: dict[str, Sequence[int | str]], *, names: str = "", outputs: int = 1,
         result: int = TensorProto.FLOAT, opset: int = 18, dtypes: dict[str, Any] | None = None,
         values: dict[str, Any] | None = None, elements: Callable[[Arrays], int] | None = None,
         oracle: Callable[[Arrays], Any] | None = None, **attributes: Any) -> Case:  # fmt: skip
    """A case; operands are the inputs in order, or as ``names`` says ("-" for none)."""
    dtypes = {n: np.dtype((dtypes or {}).get(n, np.int64 if n in (values or {}) else np.float32))
              for n in shapes}  # fmt: skip
    order = ["" if n == "-" else n for n in names.split()] or list(shapes)
    results = [f"y{k}" for k in range(outputs)]
    kinds = [result, *[result if type == "Split" else TensorProto.INT64] * (outputs - 1)]
    graph = helper.make_graph(
        [helper.make_node(type, order, results, name="node", **attributes)], "hostile",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(dtypes[n]), s)
         for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, k, None) for n, k in zip(results, kinds, strict=True)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return Case(type, shapes, dtypes, values or {}, attributes, order, outputs, elements, oracle,
                model)  # fmt: skip


def bounds(given: Case) -> dict[str, Any]:
    """What dlc is told of sizes."""
    named = {d for shape in given.shapes.values() for d in shape if isinstance(d, str)}
    return {name: AtMost(MOST) for name in named} | {"any": AtMost(ROOM)}


@st.composite
def inputs(draw: Any, given: Case) -> Arrays:
    """Arrays for a case, now and then with a dim above its bound."""
    named = sorted({d for shape in given.shapes.values() for d in shape if isinstance(d, str)})
    size = st.integers(0, MOST) | st.integers(0, MOST) | st.integers(0, MOST + 1)
    found = {name: draw(size) for name in named}
    if named and draw(st.booleans()):  # those of one size agree more often
        found = dict.fromkeys(named, found[named[0]])
    arrays: Arrays = {}
    for name, dims in given.shapes.items():
        shape = tuple(found.get(d, d) if isinstance(d, str) else d for d in dims)
        dtype = given.dtypes[name]
        values = given.values.get(name)
        if values is None:
            values = {"f": st.sampled_from([0.0, 1.0, -2.0, 3.0, 0.5]), "b": st.booleans()}.get(
                dtype.kind, st.integers(-3, 9)
            )
        arrays[name] = draw(drawn.arrays(dtype, shape, elements=values))
    return arrays


def beyond(given: Case, arrays: Arrays) -> bool:
    """Whether the inputs do not keep to the bounds dlc was told."""
    for name, dims in given.shapes.items():
        sizes = zip(dims, arrays[name].shape, strict=True)
        if any(isinstance(d, str) and n > MOST for d, n in sizes):
            return True
    return False


def product(values: Any) -> int:
    """Of Python's ints: no overflow. Zeros are left out, as dlc does where it bounds sizes."""
    return math.prod(max(int(v), 1) for v in np.ravel(values))


def span(arrays: Arrays) -> int:
    """How many numbers a Range has."""
    start, limit, delta = (int(arrays[n]) for n in ("start", "limit", "delta"))
    return 0 if delta == 0 else max(0, -((start - limit) // delta))


def axis_values(rank: int) -> st.SearchStrategy[int]:
    """Axes, mostly of a tensor of this rank."""
    return st.one_of(*[st.integers(-rank, rank - 1)] * 3, st.integers(-rank - 1, rank), edges)


def indices(size: int) -> st.SearchStrategy[int]:
    """Positions, mostly of an axis of this size."""
    return st.one_of(*[st.integers(-size, size - 1)] * 6, st.integers(-size - 2, size + 1), edges)


def reduced(function: Callable[..., Any], **options: Any) -> Callable[[Arrays], list[Any]]:
    """What a reduction gives; numpy is strict about axes, onnxruntime is not where there is no element."""

    def compute(arrays: Arrays) -> list[Any]:
        with np.errstate(all="ignore"):
            x, axes = arrays["x"], tuple(arrays["axes"].tolist())
            if options.get("keepdims"):  # one listed twice says no more
                axes = tuple({normalize_axis_index(axis, x.ndim) for axis in axes})
            return [np.asarray(function(x, axis=axes, **options), np.float32)]

    return compute


def cumulated(arrays: Arrays) -> list[Any]:
    """CumSum without the element itself."""
    x, axis = arrays["x"], normalize_axis_index(int(arrays["axis"]), arrays["x"].ndim)
    return [np.cumsum(x, axis) - x]


def mean(x: Any, axis: tuple[int, ...]) -> Any:
    """The mean, without a warning where there is no element."""
    total = np.asarray(np.sum(x, axis=axis))
    return total / np.float32(x.size / total.size if total.size else 0)


def reshaped(arrays: Arrays) -> list[Any]:
    """Reshape where 0 means 0: then nothing may be left to find out, says ONNX."""
    shape = arrays["shape"].tolist()
    if (0 in shape and -1 in shape) or min(shape) < -1:
        raise ValueError("of nothing anything may be left")
    return [arrays["x"].reshape(shape)]


def numbered(arrays: Arrays) -> list[Any]:
    """Range, whose number of elements onnxruntime computes in f64."""
    return [np.array(range(*(int(arrays[n]) for n in ("start", "limit", "delta"))), np.int64)]


def only_if(condition: Callable[[Arrays], Any]) -> Callable[[Arrays], None]:
    """An oracle that leaves to onnxruntime what satisfies a condition, and refuses the rest."""

    def ask(arrays: Arrays) -> None:
        if not np.all(condition(arrays)):
            raise ValueError("the inputs mean nothing")

    return ask


def careless_unless(condition: Callable[[Arrays], Any]) -> Callable[[Arrays], Any]:
    """An oracle for what has no meaning that anybody defined: any result will do (``...``)."""

    def ask(arrays: Arrays) -> Any:
        return None if np.all(condition(arrays)) else ...

    return ask


def padded_to(arrays: Arrays) -> int:
    """How many elements a Pad of a matrix has."""
    pads = arrays["pads"].tolist()
    return product([n + pads[k] + pads[k + 2] for k, n in enumerate(arrays["x"].shape)])


def scaled_to(arrays: Arrays) -> int:
    """How many elements a Resize has, about."""
    with np.errstate(invalid="ignore"):  # infinitely many of none
        sizes = arrays["scales"].astype(np.float64) * arrays["x"].shape[2:]
    return product(np.nan_to_num(sizes, nan=0, posinf=LARGEST))


def best(arrays: Arrays, axis: int, sign: int) -> list[Any]:
    """TopK, which onnxruntime cuts off at what there is."""
    x, k = arrays["x"], int(arrays["k"][0])
    if not 0 <= k <= x.shape[axis]:
        raise ValueError("k is out of range")
    order = np.argsort(sign * x, axis=axis, kind="stable").take(range(k), axis=axis)
    return [np.take_along_axis(x, order, axis=axis), order]


def loop() -> Case:
    """A Loop that counts on from x, ends before ``stop`` turns or after ``turns``, and keeps each count."""
    info, i64 = helper.make_tensor_value_info, TensorProto.INT64
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "one"], ["w"]), helper.make_node("Less", ["i", "stop"], ["on"]),
         helper.make_node("Identity", ["w"], ["kept"])],
        "body", [info("i", i64, []), info("go", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, [2])],
        [info("on", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, [2]),
         info("kept", TensorProto.FLOAT, [2])],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "", "x"], ["y0", "y1"], name="node", body=body)], "hostile",
        [info("turns", i64, []), info("x", TensorProto.FLOAT, [2]), info("stop", i64, [])],
        [info("y0", TensorProto.FLOAT, [2]), info("y1", TensorProto.FLOAT, ["turns", 2])],
    )  # fmt: skip
    shapes: dict[str, Sequence[int | str]] = {"turns": (), "x": (2,), "stop": ()}
    values = {"turns": numbers, "stop": st.integers(-1, 8)}
    plain = case("Identity", shapes, names="x", values=values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return replace(plain, type="Loop", model=model)


padding = st.integers(0, 2) | st.integers(-2, 2) | numbers

I64, I32, BOOL = np.int64, np.int32, np.bool_
KIND = TensorProto

# fmt: off
SHAPES = [
    loop(),
    case("Range", {"start": (), "limit": (), "delta": ()}, result=KIND.INT64,
         values=dict.fromkeys(("start", "limit", "delta"), numbers), elements=span,
         oracle=numbered),
    # of no axis, says onnxruntime
    case("Reshape", {"x": ("N", 4), "shape": (3,)}, elements=lambda a: product(a["shape"]),
         oracle=careless_unless(lambda a: a["shape"][2:] != 0), values={"shape":
         st.sampled_from([-1, 0, 1, 2, 4]) | numbers}),
    case("Reshape", {"x": ("N", 4), "shape": (2,)}, allowzero=1, elements=lambda a:
         product(a["shape"]), values={"shape": st.sampled_from([-1, 0, 1, 2, 4]) | numbers},
         oracle=reshaped),
    case("Expand", {"x": ("N", 1), "shape": (3,)}, values={"shape": numbers}, elements=lambda
         a: product(a["shape"]) * max(len(a["x"]), 1)),
    # onnxruntime alone takes the greatest number for "back to the beginning"
    case("Slice", {"x": ("N", 4), "starts": (2,), "ends": (2,), "axes": (2,), "steps": (2,)},
         values={"starts": numbers, "ends": numbers, "axes": axis_values(2), "steps": numbers},
         oracle=careless_unless(lambda a: (a["ends"] < GREATEST) | (a["steps"] > 0))),
    case("Slice", {"x": ("N", "M"), "starts": (2,), "ends": (2,)}, values={"starts": numbers,
         "ends": numbers}),
    case("Tile", {"x": ("N", 2), "repeats": (2,)}, values={"repeats": numbers}, elements=lambda
         a: product(a["repeats"]) * max(a["x"].size, 1)),
    case("Split", {"x": ("N", 2), "split": (3,)}, values={"split": st.integers(0, 2) |
         numbers}, outputs=3),
    case("Squeeze", {"x": (1, "N", 1), "axes": (1,)}, values={"axes": axis_values(3)}),
    case("Unsqueeze", {"x": ("N", 2), "axes": (2,)}, values={"axes": axis_values(4)}),
    case("ConstantOfShape", {"shape": (2,)}, values={"shape": numbers}, elements=lambda a:
         product(a["shape"])),
    case("EyeLike", {"x": ("N", "M")}, k=2),
    case("Trilu", {"x": ("N", 4), "k": ()}, values={"k": numbers}),
    case("Trilu", {"x": ("N", "M"), "k": ()}, values={"k": numbers}, upper=0),
    case("CumSum", {"x": ("N", 3), "axis": ()}, values={"axis": axis_values(2)}, exclusive=1,
         oracle=cumulated),
    case("Add", {"x": ("N", 3), "y": ("M", 3)}),
    case("Where", {"c": ("N", 1), "x": ("M", 3), "y": ("K", 3)}, dtypes={"c": BOOL}),
    case("Concat", {"x": ("N", "M"), "y": ("K", "L")}, axis=0, oracle=lambda a:
         [np.concatenate([a["x"], a["y"]])]),
    case("MatMul", {"x": ("N", "M"), "y": ("K", 2)}),
    case("ReduceSum", {"x": ("N", 3, 2), "axes": (2,)}, values={"axes": axis_values(3)},
         oracle=reduced(np.sum, keepdims=True)),
    case("ReduceMean", {"x": ("N", 3, 2), "axes": (1,)}, values={"axes": axis_values(3)},
         keepdims=0, oracle=reduced(mean)),
    case("ReduceMax", {"x": ("N", 3, 2), "axes": (2,)}, values={"axes": axis_values(3)},
         keepdims=0, oracle=reduced(np.max, initial=-np.inf)),
    case("ReduceLogSumExp", {"x": ("N", 2), "axes": (1,)}, values={"axes": axis_values(2)},
         oracle=reduced(np.logaddexp.reduce, keepdims=True)),
]
FOUND = [
    case("NonZero", {"x": ("N", 3)}, result=KIND.INT64, values={"x": strange}, dtypes={"x":
         np.float32}),
    case("NonZero", {"x": ("N", "M", 2)}, result=KIND.INT64, dtypes={"x": BOOL}, values={"x":
         st.booleans() | st.just(True)}),
    case("Compress", {"x": ("N", 3), "c": ("M",)}, dtypes={"c": BOOL}, axis=0, values={"c":
         st.booleans()}),
    case("Compress", {"x": ("N", 3), "c": ("M",)}, dtypes={"c": BOOL}, values={"c": st.booleans()}),
    case("Unique", {"x": ("N", 2)}, outputs=4, dtypes={"x": I64}, result=KIND.INT64, axis=0,
         values={"x": st.integers(0, 1) | edges}),
    case("Unique", {"x": ("N", "M")}, outputs=4, sorted=0, values={"x": st.integers(-1, 2)},
         dtypes={"x": np.float32}),
    case("NonMaxSuppression", {"boxes": (1, "N", 4), "scores": (1, 2, "M"), "most": (1,),
         "overlap": (1,), "least": (1,)}, result=KIND.INT64, dtypes=dict.fromkeys(("boxes",
         "scores", "overlap", "least"), np.float32), values={"boxes": strange, "scores":
         strange, "most": numbers, "overlap": st.sampled_from([0.0, 0.25, 0.5, 1.0]), "least":
         st.sampled_from([0.0, -1.0, 0.5, 2.0])}),
    case("NonMaxSuppression", {"boxes": ("B", "N", 4), "scores": ("B", 1, "N"), "most": (1,)},
         result=KIND.INT64, dtypes={"boxes": np.float32, "scores": np.float32},
         values={"boxes": st.integers(-2, 2), "scores": st.integers(0, 3), "most": numbers},
         center_point_box=1),
    case("TopK", {"x": ("N", 3), "k": (1,)}, outputs=2, axis=0, values={"k": numbers},
         oracle=lambda a: best(a, 0, -1)),
    case("TopK", {"x": (2, "N"), "k": (1,)}, outputs=2, largest=0, values={"k": numbers},
         oracle=lambda a: best(a, 1, 1)),
    case("ArgMax", {"x": ("N", 3)}, axis=0, result=KIND.INT64),
]
INDEXED = [
    case("OneHot", {"i": ("N",), "depth": (), "v": (2,)}, axis=0, names="i depth v",
         values={"i": numbers, "depth": numbers}, elements=lambda a: max(int(a["depth"]), 0) *
         max(a["i"].size, 1)),
    case("Gather", {"x": ("N", 3), "i": ("M", 2)}, values={"i": indices(MOST)}),
    case("Gather", {"x": (2, 4), "i": ("M",)}, values={"i": indices(4)}, axis=1),
    case("GatherElements", {"x": (3, 4), "i": (2, 4)}, values={"i": indices(3)}),
    case("GatherND", {"x": (3, 4), "i": (2, 2)}, values={"i": indices(3)}),
    case("GatherND", {"x": (3, 4), "i": (3, 1)}, values={"i": indices(4)}, batch_dims=1),
    case("ScatterElements", {"x": (3, 4), "i": (2, 4), "u": (2, 4)}, values={"i": indices(3)},
         reduction="add"),
    case("ScatterElements", {"x": (3, 4), "i": (1, 2), "u": (1, 2)}, values={"i": indices(4)},
         axis=1, reduction="max"),
    case("ScatterND", {"x": (3, 4), "i": (2, 2), "u": (2,)}, values={"i": indices(3)},
         reduction="mul"),
    case("ScatterND", {"x": (3, 4), "i": (1, 1), "u": (1, 4)}, values={"i": indices(3)}),
    case("ReverseSequence", {"x": (4, 2, 3), "n": (2,)}, values={"n": numbers}),
    case("ReverseSequence", {"x": ("N", 4), "n": ("M",)}, values={"n": numbers}, batch_axis=0,
         time_axis=1),
    case("GatherElements", {"x": ("N", 4), "i": ("M", 4)}, values={"i": indices(3)}),
    case("GatherND", {"x": ("N", "M"), "i": ("K", 2)}, values={"i": indices(3)}),
    case("ScatterND", {"x": ("N", 4), "i": ("K", 1), "u": ("K", 4)}, values={"i": indices(3)}),
    case("ScatterElements", {"x": ("N", 4), "i": ("M", 2), "u": ("M", 2)}, values={"i":
         indices(3)}),
]
MOVED = [
    case("Pad", {"x": ("N", 3), "pads": (4,)}, values={"pads": padding}, elements=padded_to,
         oracle=careless_unless(lambda a: np.abs(a["pads"].astype(float)) < 1e6)),
    case("Pad", {"x": ("N", 3), "pads": (4,)}, values={"pads": padding}, elements=padded_to,
         mode="edge", oracle=careless_unless(lambda a: a["pads"] >= 0)),
    # how often to reflect, nobody says
    case("Pad", {"x": ("N", 3), "pads": (4,)}, values={"pads": padding}, elements=padded_to,
         mode="reflect", oracle=careless_unless(lambda a: (a["pads"] >= 0) & (a["pads"] <
         [*a["x"].shape] * 2))),
    case("Resize", {"x": (1, 1, "N", 3), "sizes": (2,)}, names="x - - sizes", mode="linear",
         axes=[2, 3], values={"sizes": st.integers(1, 4) | numbers}, elements=lambda a:
         product(a["sizes"]), oracle=careless_unless(lambda a: a["sizes"] > 0)),
    case("Resize", {"x": (1, 1, "N", 3), "scales": (2,)}, names="x - scales", axes=[2, 3],
         dtypes={"scales": np.float32}, elements=scaled_to, values={"scales":
         st.sampled_from([0.5, 2.0, 1.0]) | strange}, oracle=careless_unless(lambda a:
         np.isin(a["scales"], [0.25, 0.5, 1, 2]))),
    case("CenterCropPad", {"x": ("N", 3), "shape": (2,)}, values={"shape": numbers},
         elements=lambda a: product(a["shape"]), oracle=only_if(lambda a: a["shape"] >= 0)),
    case("GridSample", {"x": (1, 1, 3, "N"), "grid": (1, "M", 2, 2)}, values={"grid": strange},
         dtypes={"grid": np.float32}, oracle=careless_unless(lambda a: a["x"].size and
         np.all(np.abs(a["grid"]) < 4))),
    case("GridSample", {"x": (1, 1, 3, 4), "grid": (1, 2, 2, 2)}, values={"grid": strange},
         dtypes={"grid": np.float32}, mode="nearest", padding_mode="reflection",
         oracle=careless_unless(lambda a: np.abs(a["grid"]) <= 1)),
    case("RoiAlign", {"x": (2, 1, 4, 4), "rois": (2, 4), "b": (2,)}, output_height=2,
         output_width=2, values={"rois": strange, "b": indices(2)}, dtypes={"rois":
         np.float32}, oracle=careless_unless(lambda a: np.abs(a["rois"]) < 1e9)),
    case("MaxRoiPool", {"x": (2, 1, 4, 4), "rois": (2, 5)}, pooled_shape=[2, 2],
         values={"rois": strange}, dtypes={"rois": np.float32},
         oracle=careless_unless(lambda a: np.abs(a["rois"]) < 1e9)),
    case("MaxUnpool", {"x": (1, 1, 2, 2), "i": (1, 1, 2, 2)}, kernel_shape=[2, 2], strides=[2,
         2], values={"i": indices(16)}),
    case("NegativeLogLikelihoodLoss", {"x": (2, 3), "t": (2,)}, values={"t": indices(3)}),
    case("SoftmaxCrossEntropyLoss", {"x": (2, 3), "t": (2,)}, values={"t": indices(3)}),
    case("GRU", {"x": (3, 2, 1), "w": (1, 3, 1), "r": (1, 3, 1), "n": (2,)}, names="x w r - n",
         dtypes={"n": I32}, values={"n": st.integers(0, 3) | st.sampled_from([-1, 4, 2**31 - 1,
         -(2**31)])}, oracle=careless_unless(lambda a: (a["n"] >= 0) & (a["n"] <= 3)),
         hidden_size=1),
    case("BlackmanWindow", {"n": ()}, values={"n": numbers}, elements=lambda a: int(a["n"])),
    case("Col2Im", {"x": (1, 4, 4), "image": (2,), "block": (2,)}, values={"image": st.just(3)
         | numbers, "block": st.just(2) | numbers}),
]
# fmt: on
