"""The named ONNX operators, and by family their expansions into core ops."""

import importlib
import pkgutil
from functools import cache


@cache
def discover() -> None:
    """Import every module of this package, which registers its expansions."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
