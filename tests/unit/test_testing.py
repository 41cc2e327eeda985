"""What dlc.testing offers users: strategies that keep their word, kernels called from numpy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.shape_inference import infer_shapes

from dlc.errors import BuildError, InputError
from dlc.ir.types import DType
from dlc.testing import (
    ConvCase,
    ConvTransposeCase,
    PoolCase,
    arrays,
    conv_cases,
    conv_transpose_cases,
    dtypes,
    load_kernel,
    load_kernels,
    permutations,
    pool_cases,
    shapes,
    slices,
    special_values,
)
from dlc.testing.contracts import contract, kernel_reference

DOCS = Path(__file__).parents[2] / "docs"
ADD = "static inline int add(int a, int b) { return a + b; }"
SUM = """
static inline float sum(const float *x, ptrdiff_t n) {
    float s = 0.0f;
    for (ptrdiff_t i = 0; i < n; i++) s += x[i];
    return s;
}
"""


def onnx_result_shape(
    op: str, shapes: list[tuple[int, ...]], **attributes: object
) -> tuple[int, ...]:
    names = ["x", "w"][: len(shapes)]
    inputs = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s)
        for n, s in zip(names, shapes, strict=True)
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    node = onnx.helper.make_node(op, names, ["y"], **attributes)
    graph = onnx.helper.make_graph([node], "g", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
    inferred = infer_shapes(model, strict_mode=True)
    return tuple(d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim)


def window_attributes(case: ConvCase | ConvTransposeCase | PoolCase) -> dict[str, object]:
    return {"kernel_shape": case.kernel, "strides": case.strides, "pads": case.pads,
            "dilations": case.dilations}  # fmt: skip


@settings(max_examples=30)
@given(conv_cases())
def test_conv_cases_have_the_shape_onnx_infers(case: ConvCase) -> None:
    shape = onnx_result_shape("Conv", [case.x_shape, case.w_shape], group=case.groups,
                              **window_attributes(case))  # fmt: skip
    assert shape == (case.batch, case.groups * case.filters, *case.out)
    assert min(shape) > 0


@settings(max_examples=30)
@given(conv_transpose_cases())
def test_conv_transpose_cases_have_the_shape_onnx_infers(case: ConvTransposeCase) -> None:
    shape = onnx_result_shape(
        "ConvTranspose", [case.x_shape, case.w_shape], group=case.groups,
        output_padding=case.output_padding, **window_attributes(case),
    )  # fmt: skip
    assert shape == (case.batch, case.groups * case.filters, *case.out)
    assert min(shape) > 0


@settings(max_examples=30)
@given(pool_cases())
def test_pool_cases_have_the_shape_onnx_infers(case: PoolCase) -> None:
    reach = (*case.pads[: case.rank], *np.add(case.pads[case.rank :], case.overhang).tolist())
    attributes = {**window_attributes(case), "pads": reach}
    assert onnx_result_shape("MaxPool", [case.x_shape], **attributes)[2:] == case.out


@settings(max_examples=60)
@given(dtypes(), shapes(), st.data())
def test_arrays_have_the_dtype_and_shape(
    dtype: DType, shape: tuple[int, ...], data: st.DataObject
) -> None:
    array = data.draw(arrays(dtype, shape))
    assert array.dtype == dtype.numpy
    assert array.shape == shape
    tame = data.draw(arrays(dtype, shape, huge=False, special=False))
    assert np.isfinite(tame).all()
    assert (np.abs(tame.astype(np.float64)) < 100).all()


def test_special_values_are_what_they_say() -> None:
    values = np.array(special_values(DType.F32), np.float32)
    assert np.isnan(values).any()
    assert np.isinf(values).any()
    assert (np.signbit(values) & (values == 0)).any()
    assert np.float32(1e-45) in values
    assert np.finfo(np.float32).max in values
    assert set(special_values(DType.I8)) == {0, 1, -1, -128, 127}
    assert special_values(DType.BOOL) == [False, True]


@settings(max_examples=30)
@given(st.data())
def test_permutations_and_slices_apply(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    array = np.zeros(shape)
    assert array.transpose(data.draw(permutations(len(shape)))).size == array.size
    assert array[data.draw(slices(shape))].ndim == len(shape)


def test_scalar_kernels_broadcast() -> None:
    add = load_kernel(ADD, "int add(int a, int b)")
    column = np.arange(3, dtype=np.int32)[:, None]
    np.testing.assert_array_equal(add(column, np.arange(2, dtype=np.int32)), column + np.arange(2))
    assert add(1, 2) == 3
    assert add(np.zeros(0, np.int32), 5).shape == (0,)


@pytest.mark.parametrize("sanitize", [False, True])
def test_array_kernels_take_pointers(sanitize: bool) -> None:
    total = load_kernel(SUM, "float sum(const float *x, ptrdiff_t n)", sanitize=sanitize)
    assert total(np.ones((2, 3), np.float32), 6) == 6
    with pytest.raises(InputError, match="must be an array of float32, not float64"):
        total(np.ones(3), 3)
    with pytest.raises(InputError, match="must be C-contiguous"):
        total(np.ones((3, 2), np.float32).T, 6)
    with pytest.raises(InputError, match="takes 2 arguments, not 1"):
        total(np.ones(3, np.float32))


def test_kernels_of_dlc_by_name() -> None:
    found = load_kernels("dlc_exp", ["float dlc_exp_f32(float x)", "double dlc_exp_f64(double)"])
    assert found["dlc_exp_f32"](0.0) == found["dlc_exp_f64"](0.0) == 1


def test_bad_sources_and_declarations_are_one_sentence() -> None:
    for source, declaration, message in [
        ("no_such_kernel", "int f(int x)", "no_such_kernel is neither a file, nor a header"),
        (ADD, "add", "'add' is not a C prototype"),
        (ADD, "quux add(int a, int b)", "the C type 'quux' has no numpy dtype"),
        ("int f(int x) { return y; }", "int f(int x)", "error"),
    ]:
        with pytest.raises(BuildError, match=message) as error:
            load_kernel(source, declaration)
        assert "\n" not in str(error.value)


def test_kernel_page_is_current() -> None:
    renew = "python -m dlc.testing.contracts > docs/kernels.md"
    assert (DOCS / "kernels.md").read_text() == kernel_reference(), f"run: {renew}"


def test_a_header_without_contract_is_refused() -> None:
    assert contract("/* f: what it does\n *\n * More.\n */\nint x;") == "f: what it does\n\nMore."
    with pytest.raises(ValueError, match="begins with its contract"):
        contract("#ifndef X\n")


def test_the_example_of_the_fuzzing_page_runs() -> None:
    (block,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "fuzzing_kernels.md").read_text(), re.DOTALL
    )
    exec(compile(block, "fuzzing_kernels.md", "exec"), {"__name__": "example"})
