"""Every trained model at hand through C: its stored vectors, and random inputs beside onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import dlc
from dlc.api import compare

pytestmark = pytest.mark.slow

FOLDER = Path(os.environ.get("DLC_SHARED", Path(__file__).parents[3] / "shared")) / "models"
NAMES = sorted(path.name for path in FOLDER.iterdir()) if FOLDER.is_dir() else []
#: as ``dlc check`` compares
RTOL, ATOL, RTOL_MAX = 1e-3, 1e-5, 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_its_vectors_come_out(name: str, shared: Path) -> None:
    folder = shared / "models" / name
    with np.load(folder / "vectors.npz") as vectors:
        names = {kind: list(map(str, vectors[f"{kind}_names"])) for kind in ("input", "output")}
        given, wanted = (
            {name: vectors[f"{kind}_{k}"] for k, name in enumerate(names[kind])}
            for kind in ("input", "output")
        )
    (path,) = folder.glob("*.onnx")
    shapes = {name: array.shape for name, array in given.items()}
    found = dlc.compile(path, shapes=shapes).run(given)
    for output, expected in wanted.items():
        difference = compare(output, found[output], expected, RTOL, ATOL, RTOL_MAX)
        assert difference.ok, str(difference)
    report = dlc.check(path, shapes=shapes)
    assert report.ok, str(report)
