"""Settings every test shares."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import single_node

hypothesis.settings.register_profile("dlc", deadline=None, print_blob=True)
hypothesis.settings.register_profile("long", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dlc"))

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def same_numbers_in_any_order(request: pytest.FixtureRequest) -> None:
    """Each test draws the same numbers whatever ran before it, and in whichever process."""
    seed = zlib.crc32(request.node.nodeid.encode())
    for module in (single_node, request.module):
        generator = getattr(module, "RNG", None)
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and data beside the checkout (DLC_SHARED names another)."""
    folder = Path(os.environ.get("DLC_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no real models: {folder} is absent; set DLC_SHARED")
    return folder
