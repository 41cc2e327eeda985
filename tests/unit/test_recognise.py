"""Passes that recognise named ops: the meaning stays, twice is once, and why they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from pass_checks import graph_of, ir_sections, kinds, proved, refusals

from dlc.errors import PassError
from dlc.passmanager import PassManager

PIPELINES = {
    "recognise-gelu": "recognise-gelu",
    "recognise-silu": "recognise-silu",
    "recognise-hardswish": "recognise-hardswish",
    "recognise-layernorm": "recognise-layernorm,fold-norm-affine",
    "recognise-attention": "recognise-attention",
    "recognise-softmax": "recognise-softmax",
    "recognise-prelu": "recognise-prelu",
    "fold-norm-affine": "fold-norm-affine",
    "raise-opset": "raise-opset{to=23}",
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_meaning_stays_and_twice_is_once(name: str) -> None:
    for graph in ir_sections(name):
        proved(PIPELINES[name], graph)
