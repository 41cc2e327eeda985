"""onnx's own node tests compiled to C, built and run: every case of these operators."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import pytest
from node_suite import cases, run_batch
from onnx_suite import page

#: how many cases of an operator must pass
OPERATORS = {
    "Adagrad": 2, "Adam": 2, "BatchNormalization": 4, "Bernoulli": 3, "DFT": 10, "DeformConv": 4,
    "Dropout": 10, "Einsum": 9, "FlexAttention": 11, "MaxPool": 18, "MaxUnpool": 2, "Momentum": 3,
    "RoiAlign": 3, "STFT": 2, "TfIdfVectorizer": 7,
    "AffineGrid": 4, "Col2Im": 5, "Det": 2, "GridSample": 18,
    "ArgMax": 16, "ArgMin": 16, "BitCast": 10, "BitShift": 28, "BitwiseAnd": 4, "BitwiseNot": 3,
    "BitwiseOr": 4, "BitwiseXor": 4, "ConvInteger": 2, "CumProd": 9, "CumSum": 9,
    "DequantizeLinear": 14, "DynamicQuantizeLinear": 3, "GRU": 6, "GatherElements": 3, "GatherND": 3,
    "LSTM": 6, "MatMulInteger": 1, "OneHot": 6, "QLinearConv": 1, "QLinearMatMul": 8, "QuantizeLinear": 13,
    "ReverseSequence": 3, "ScatterElements": 7, "ScatterND": 7, "TensorScatter": 3, "TopK": 7,
    "Trilu": 18,
}  # fmt: skip


@cache
def by_operator() -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, case in cases().items():
        if len(case.model.graph.node) == 1:
            found[case.model.graph.node[0].op_type].append(name)
    return found


@pytest.mark.parametrize("operator", OPERATORS)
def test_cases_of_an_operator(operator: str) -> None:
    outcomes = run_batch(by_operator()[operator], parameters=True)
    failed = {name: reason for name, reason in outcomes.items() if reason}
    assert set(failed) <= set(page.known()["node"]), failed
    assert len(outcomes) >= OPERATORS[operator]
