"""The demo network gives the same answers under every compiler at hand, for any and this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlc import api, demo
from dlc.backends.c99.module import DEFAULT_FLAGS, build
from dlc.backends.c99.toolchain import RELEASE_FLAGS, Compiler, available_compilers
from dlc.interp import run

COMPILERS = available_compilers()


@pytest.mark.parametrize("compiler", COMPILERS, ids=[c.family for c in COMPILERS])
@pytest.mark.parametrize("flags", [RELEASE_FLAGS, DEFAULT_FLAGS], ids=["any", "native"])
def test_same_probabilities(compiler: Compiler, flags: tuple[str, ...], tmp_path: Path) -> None:
    folder, _ = api.emit(demo.model_path(), tmp_path / "c")
    if compiler.family == "tcc":
        flags = ("-std=c99",)  # it has no optimiser and no machines to choose from
    module = build(folder, compiler=compiler, flags=flags)
    graph = api.load(demo.model_path())
    for image in demo.heldout_digits()[0][:5]:
        inputs = {"image": image[None].astype(np.float32)}
        expected = run(graph, inputs)["probabilities"]
        np.testing.assert_allclose(
            module.run(inputs)["probabilities"], expected, rtol=1e-4, atol=1e-6
        )
