"""A trained LeNet-5 and held-out digits (made by docs/examples/train_digits.py)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np


def model_path() -> Path:
    """``lenet5_digits.onnx``: image float32 [N,1,32,32] of 0..255 to probabilities [N,10]."""
    return Path(str(files(__name__) / "lenet5_digits.onnx"))


def heldout_digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images uint8 [359,1,32,32] and labels int64 [359] that training never saw."""
    with np.load(str(files(__name__) / "digits_heldout.npz")) as archive:
        return archive["x"], archive["y"]
