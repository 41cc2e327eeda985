"""The ``.dlc`` files of this folder are tests (see ``dlc.testing.text_tests``)."""

from __future__ import annotations

from dlc.testing.text_tests import pytest_collect_file

__all__ = ["pytest_collect_file"]
