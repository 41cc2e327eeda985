"""The wheel holds everything and nothing else, and works where the sources are not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
MAPPED = {"passes": "dlc.passes", "backends": "dlc.backends", "kernels_c": "dlc.kernels_c"}


def test_package_list_equals_the_tree() -> None:
    found = set()
    for top in ("dlc", *MAPPED):
        for init in (ROOT / top).rglob("__init__.py"):
            if init.is_relative_to(ROOT / "dlc") and any(
                p.is_symlink()
                for p in [init.parent, *init.parents]
                if p.is_relative_to(ROOT / "dlc")
            ):
                continue
            parts = list(init.parent.relative_to(ROOT).parts)
            found.add(".".join([*MAPPED.get(parts[0], parts[0]).split("."), *parts[1:]]))
    assert sorted(SETTINGS["packages"]) == sorted(found)


def test_links_for_editors() -> None:
    for top in MAPPED:
        assert (ROOT / "dlc" / top).resolve() == ROOT / top


@pytest.mark.slow
def test_wheel_of_a_clean_checkout_runs_the_demo(tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", ROOT, source], check=True)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("dlc-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"dlc"}
    assert any(n.endswith("kernels_c/dlc_conv_tile_f32.h") for n in names)
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, *pip[1:], "install", f"{wheel}[zig]"], check=True, cwd=tmp_path)
    shown = subprocess.run([tmp_path / "env" / "bin" / "dlc", "demo"], check=True, cwd=tmp_path,
                           capture_output=True, text=True)  # fmt: skip
    assert "accuracy" in shown.stdout
