"""onnx's own backend suite: a sample of every kind, and (slow) all of it against what is known."""

from __future__ import annotations

import os
from collections import defaultdict

import numpy as np
import onnx
import pytest
from onnx_suite import page, running
from onnx_suite.cases import KINDS, Case, cases
from onnx_suite.comparing import difference
from onnx_suite.describing import graphs, kind_of
from onnx_suite.pool import run
from onnx_suite.running import DRAWN, Options, run_batch, run_by_backend
from onnx_suite.selection import takes_parameters, why_special
from onnx_suite.stripping import stripped

#: a few of every kind: plain, run-time shapes, narrow types, sequences, optionals, old opsets
SAMPLE = [
    "test_add_bcast", "test_argmax_default_axis_example_select_last_index", "test_averagepool_2d_pads",
    "test_cast_FLOAT16_to_FLOAT", "test_conv_with_strides_padding", "test_gather_negative_indices",
    "test_gru_seq_length", "test_layer_normalization_2d_axis1_expanded", "test_matmul_3d",
    "test_optional_has_element_empty_optional_input", "test_quantizelinear_axis", "test_softmax_axis_1",
    "test_sequence_insert_at_front", "test_training_dropout", "test_sequence_model1", "test_sign_model",
    "test_Conv2d_depthwise_strided", "test_PReLU_2d_multiparam", "test_operator_add_size1_broadcast",
]  # fmt: skip


def test_the_suite_is_whole() -> None:
    counts: dict[str, int] = defaultdict(int)
    for case in cases().values():
        counts[case.kind] += 1
    assert dict(counts) == {"node": 1884, "simple": 26, "pytorch-converted": 82,
                            "pytorch-operator": 35, "light": 9}  # fmt: skip


def test_a_sample_built_in_one_batch_and_through_the_backend() -> None:
    outcomes = run_batch(SAMPLE, Options(strict=True, strip=True))
    assert {name: o.reason for name, o in outcomes.items() if not o.passed} == {
        "test_training_dropout": DRAWN
    }
    assert not any(outcome.unclean for outcome in outcomes.values())
    assert all(outcome.files for outcome in outcomes.values())


@pytest.mark.parametrize("name", SAMPLE[::4])
def test_the_backend_says_the_same(name: str) -> None:
    assert run_by_backend(cases()[name]) == ""


def test_known_failures_are_cases() -> None:
    known = page.known()
    assert list(known) == list(KINDS)
    for kind, reasons in known.items():
        assert all(cases()[name].kind == kind for name in reasons)
        assert all(reasons.values())
    assert f"| all | {len(cases()) - sum(map(len, known.values()))} |" in page.PAGE.read_text()


def test_stripping_leaves_no_shape_of_a_result() -> None:
    for name in ("test_loop13_seq", "test_operator_conv", "test_add"):
        bare = stripped(cases()[name].model)
        assert kind_of(bare.graph.output[0].type) == kind_of(
            cases()[name].model.graph.output[0].type
        )
        for graph in graphs(bare.graph):
            assert not graph.value_info
            for info in graph.output:
                type = info.type
                while type.WhichOneof("value") in ("sequence_type", "optional_type"):
                    type = getattr(type, type.WhichOneof("value")).elem_type
                assert not type.tensor_type.HasField("shape")


def test_what_the_runner_would_refuse_differs() -> None:
    case = Case("test_x", "node", 1e-3, 1e-7, lambda: (onnx.ModelProto(), []))
    one = np.ones(3, np.float32)
    assert difference(case, [one], [one]) == ""
    for ours in (one.astype(np.float64), one[:2], one * 1.01, None, [one]):
        assert difference(case, [ours], [one]).startswith("DIFFERS")
    assert difference(case, [[one]], [[one, one]]).startswith("DIFFERS")
    assert difference(case, [one], []).startswith("DIFFERS")


def test_the_plain_part() -> None:
    plain = [name for name in cases() if not why_special(name)]
    assert len(plain) == 1640
    assert sum(map(takes_parameters, plain)) == 273
    assert why_special("test_nonzero_example") == "size that depends on data"
    assert why_special("test_if") == "subgraph"
    assert why_special("test_bernoulli") == "random numbers"
    assert why_special("test_sequence_insert_at_front") == "input or output that is no tensor"


def test_a_compiler_that_complains_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Options, "strict_flags", staticmethod(lambda tool: ("-Werror=foo-bar",)))
    outcome = run_batch(["test_add"], Options(strict=True))["test_add"]
    assert outcome.passed
    assert len(outcome.unclean) == outcome.files > 0


def test_a_case_that_kills_its_process_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    emit = running.emit_case

    def deadly(case: Case, *rest: object) -> str:
        return os._exit(1) if case.name == "test_exp" else emit(case, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "emit_case", deadly)
    outcomes = run(["test_add", "test_exp", "test_relu"], jobs=1)
    assert {name: o.reason for name, o in outcomes.items()} == {
        "test_add": "", "test_exp": "CRASH", "test_relu": "",
    }  # fmt: skip


@pytest.mark.slow
def test_the_whole_suite_passes_but_for_what_is_known() -> None:
    outcomes = run(list(cases()))
    failing = {name for name, outcome in outcomes.items() if not outcome.passed}
    known = {name for reasons in page.known().values() for name in reasons}
    news = {name: outcomes[name].reason for name in failing - known}
    assert (news, known - failing) == ({}, set()), f"if this is meant: {page.COMMAND}"
