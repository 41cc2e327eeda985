"""The passes of ``wrong_passes.py``, known while the tests of one module run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlc.passmanager import load_file
from dlc.rewrite import base

FILE = Path(__file__).with_name("wrong_passes.py")


@pytest.fixture(scope="module", autouse=True)
def wrong_passes() -> Iterator[Path]:
    """The file; its passes are forgotten afterwards, for other tests ask for all there are."""
    names = load_file(FILE)
    yield FILE
    modules = {base._REGISTRY.pop(name).__module__ for name in names}
    for module in modules:
        del sys.modules[module]
