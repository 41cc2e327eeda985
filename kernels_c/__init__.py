"""The C kernels: plain C99 headers of ``static inline`` functions. Function ``f`` is in ``f.h``."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path(__file__).parent
"""The folder of the headers, for a compiler's ``-I``."""
