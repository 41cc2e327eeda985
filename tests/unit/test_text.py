"""Textual IR: files beside each other, hostile archives, attributes rebuilt, constants exact, speed."""

from __future__ import annotations

import enum
import io
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import pytest

import dlc
from dlc import demo
from dlc.errors import DlcError, ModelError, ParseError, UnsupportedError
from dlc.ir.compare import difference
from dlc.ir.expr import parse_expr
from dlc.ir.graph import Graph
from dlc.ir.operator import Operator, Types, find_operator
from dlc.ir.text import load, parse_graph, print_graph, save
from dlc.ir.types import DType, TensorType
from dlc.ir.verify import verify
from dlc.ops.core.map import Map
from dlc.passmanager import PassManager

F32 = TensorType(DType.F32, (4,))


class Mode(enum.Enum):
    NEAREST = "nearest"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Window:
    size: tuple[int, ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Probe(Operator):
    """An operator with every kind of attribute hint."""

    name: ClassVar[str] = "text_probe"
    mode: Mode
    window: Window
    axes: tuple[int, ...] | None = None
    pair: tuple[str, float] = ("a", 0.5)
    to: DType = DType.F32
    flag: bool = False

    def infer(self, operands: Types) -> tuple[TensorType, ...]:
        return (F32,)


def probe(attributes: str) -> Graph:
    return parse_graph(
        f'graph "g" {{\n  %0 = text_probe() {{{attributes}}}\n  output(%0) {{names = ["y"]}}\n}}'
    )


def test_enums_and_nested_dataclasses_come_back() -> None:
    operator = Probe(Mode.LINEAR, Window((3, 3)), (0, -1), ("b", 2.0), DType.I8, True)
    graph = Graph("g")
    graph.set_outputs({"y": graph.add(operator).result})
    text = print_graph(graph)
    assert 'mode = "linear"' in text
    assert "window = {scale = 1.0, size = [3, 3]}" in text
    assert parse_graph(text).outputs[0].op.operator == operator


def test_defaults_fill_in_and_integers_pass_for_floats() -> None:
    graph = probe('mode = "nearest", window = {size = [2], scale = 3}, pair = ["x", 1]')
    assert graph.outputs[0].op.operator == Probe(Mode.NEAREST, Window((2,), 3), pair=("x", 1))
    assert "scale = 3," in print_graph(graph)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ('mode = "nearest"', "lacks the attribute 'window'"),
        (
            'mode = "cubic", window = {size = []}',
            "attribute 'mode' of operator text_probe must be Mode",
        ),
        ('mode = "linear", window = {size = [1.5]}', "attribute 'size' of attribute 'window'"),
        ('mode = "linear", window = {size = []}, axes = [true]', "attribute 'axes'"),
        ('mode = "linear", window = {size = []}, pair = ["x"]', "attribute 'pair'"),
        ('mode = "linear", window = {size = []}, flag = 1', "must be bool, not 1"),
        ('mode = "linear", window = {size = []}, extra = 1', "has no attribute 'extra'"),
        ("mode = 1, mode = 2", "attribute 'mode' is given twice"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(attributes: str, message: str) -> None:
    with pytest.raises(ParseError, match=f"^line 2: .*{message}"):
        probe(attributes)


def test_operators_are_found_on_first_use() -> None:
    assert find_operator("map") is Map
    with pytest.raises(ParseError, match="unknown operator 'none_such'"):
        find_operator("none_such")


CONSTANTS = {
    "dense<f32[3] 0.1 -0.0 inf>": np.array([0.1, -0.0, np.inf], np.float32),
    "dense<f32[] 1e-45>": np.float32(1e-45),
    'dense<f32[1] "base64:AQCAfw==">': np.array([0x7F800001], np.uint32).view(np.float32),
    "dense<bf16[2] 1.5 nan>": np.array([1.5, np.nan], ml_dtypes.bfloat16),
    "dense<i4[2] -8 7>": np.array([-8, 7], ml_dtypes.int4),
    "dense<u64[1] 18446744073709551615>": np.array([2**64 - 1], np.uint64),
    "dense<bool[2,1] true false>": np.array([[True], [False]]),
    "dense<c64[1] 1.0 -2.5>": np.array([1 - 2.5j], np.complex64),
    'dense<string[2] "a\\"b" "\\u00e9">': np.array(['a"b', "é"]),
    "dense<f64[0,3]>": np.zeros((0, 3)),
}


@pytest.mark.parametrize(("text", "array"), CONSTANTS.items())
def test_constants_are_exact_and_readable(text: str, array: Any) -> None:
    graph = Graph("g")
    graph.add_constant(array)
    printed = print_graph(graph)
    assert f"{{value = {text}}}" in printed
    assert difference(graph, parse_graph(printed)) is None


@pytest.mark.parametrize(
    "text",
    ["dense<u8[1] 256>", "dense<i4[1] 8>", "dense<u8[1] -1>", "dense<u8[1] x>", "dense<f32[1] true>",
     "dense<f32[N<=2] 1.0>", 'dense<f32[1] "base64:AA==">', 'dense<f32[1] "base64:!">', "dense<string[1] a>",
     "dense<f32[999999999999] 1.0>", "dense<f32[1] 1.0", 'dense<u8[1] "x">', "dense<u8[1] 1.0>"],
)  # fmt: skip
def test_constants_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"^line 2: "):
        parse_graph(f'graph "g" {{\n  %0 = constant() {{value = {text}}}\n}}')


@pytest.mark.parametrize("value", [object(), {1.5: 2}, {"k": {3, 4}}, b"bytes", 1j])
def test_values_without_text_are_refused(value: Any) -> None:
    graph = Graph("g")
    graph.add_input("x", F32).op.annotations["a"] = value
    with pytest.raises(UnsupportedError, match="input 'x': textual IR has no"):
        print_graph(graph)


def test_nesting_has_a_limit() -> None:
    for opening in ("[" * 5000, "{a = " * 5000, 'graph "g" {a() {a = ' * 1000):
        with pytest.raises(ParseError, match="deeper than 100"):
            parse_graph(f'graph "g" @ {{a = {opening}')


# ---- files -----------------------------------------------------------------------------------


def weighty() -> Graph:
    graph = Graph("weighty")
    for array in (np.arange(100.0), np.arange(100).astype(ml_dtypes.bfloat16).reshape(10, 10),
                  np.array(["word"] * 100), np.float32(2)):  # fmt: skip
        graph.add_constant(array)
    graph.set_outputs([])
    return graph


def test_large_constants_lie_beside_the_text(tmp_path: Path) -> None:
    path = tmp_path / "w.dlc"
    save(weighty(), path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.dlc", "w.dlc.npz"]
    assert len(path.read_text()) < 2500
    with np.load(tmp_path / "w.dlc.npz", allow_pickle=False) as arrays:
        assert sorted(a.dtype.name for a in arrays.values()) == ["float64", "uint16"]
    assert difference(load(path), weighty()) is None
    first = (tmp_path / "w.dlc.npz").read_bytes()
    save(weighty(), path)
    assert (tmp_path / "w.dlc.npz").read_bytes() == first  # no time stamps


def test_all_constants_in_the_text(tmp_path: Path) -> None:
    save(weighty(), tmp_path / "w.dlc", inline=True)
    assert [p.name for p in tmp_path.iterdir()] == ["w.dlc"]
    assert difference(load(tmp_path / "w.dlc"), weighty()) is None


def _rewritten(change: Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes]]) -> Any:
    def rewrite(archive: Path) -> None:
        with zipfile.ZipFile(archive) as old:
            members = [change(info, old.read(info)) for info in old.infolist()]
        with zipfile.ZipFile(archive, "w") as new:
            for info, data in members:
                new.writestr(info, data)

    return rewrite


def altered(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    return info, data[:-1] + bytes([data[-1] ^ 1])


def truncated(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    return info, data[:-8]


def compressed(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, data


def renamed(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    return zipfile.ZipInfo("other.npy"), data


def huge(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
    )
    return info, header.getvalue()


def pickled(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([print], dtype=object), allow_pickle=True)
    return info, file.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("change", [altered, truncated, compressed, renamed, huge, pickled],
                         ids=lambda change: change.__name__)  # fmt: skip
def test_a_hostile_archive_is_refused(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "w.dlc"
    save(weighty(), path)
    _rewritten(change)(tmp_path / "w.dlc.npz")
    with pytest.raises(DlcError, match=r"constant"):
        load(path)


def test_constants_are_read_only_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "w.dlc"
    save(weighty(), path)
    (tmp_path / "inner" / "w.dlc.npz").rename(tmp_path / "elsewhere.npz")
    with pytest.raises(ParseError, match="not in the text nor beside it"):
        load(path)
    (tmp_path / "inner" / "w.dlc.npz").symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(ModelError, match="out of its folder"):
        load(path)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        load(tmp_path / "absent.dlc")
    (tmp_path / "binary.dlc").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot read"):
        load(tmp_path / "binary.dlc")
    with pytest.raises(ModelError, match="cannot write"):
        save(weighty(), tmp_path / "no" / "w.dlc")
    save(weighty(), tmp_path / "w.dlc")
    (tmp_path / "w.dlc.npz").write_bytes(b"not a zip file")
    with pytest.raises(ModelError, match="cannot read"):
        load(tmp_path / "w.dlc")


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(ModelError, match="No space left"):
        save(weighty(), tmp_path / "w.dlc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pipeline", ["", "expand-ops", "O1"], ids=["named", "core", "program"])
def test_a_model_survives_at_every_level(pipeline: str, tmp_path: Path) -> None:
    graph = PassManager.parse(pipeline).run(dlc.load(demo.model_path(), dims={"N": 1}))
    text = print_graph(graph, inline_limit=None)
    assert difference(graph, parse_graph(text)) is None
    assert print_graph(parse_graph(text), inline_limit=None) == text
    dlc.save(graph, tmp_path / "model.dlc")
    assert difference(graph, dlc.load(tmp_path / "model.dlc")) is None


def test_the_example_in_the_docs_is_what_would_be_printed() -> None:
    page = Path(__file__).parents[2] / "docs" / "text_ir.md"
    (example,) = re.findall(r"^```dlc\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    graph = parse_graph(example)
    verify(graph)
    assert print_graph(graph) == example


def test_twenty_thousand_ops_take_linear_time() -> None:
    operator = Map(parse_expr("max(a0 * a0, 0.0)"))
    graph = Graph("chain")
    value = graph.add_input("x", F32)
    for i in range(20_000):
        value = graph.add(operator, [value], label=f"op {i}").result
    graph.set_outputs({"y": value})
    start = time.process_time()
    text = print_graph(graph)
    parsed = parse_graph(text)
    assert time.process_time() - start < 4  # 0.7 s on an idle machine
    assert print_graph(parsed) == text
