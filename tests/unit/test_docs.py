"""Every python and console block in README.md and docs/ runs, in a folder with the demo model."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from dlc import demo
from dlc.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITH_BLOCKS = [page for page in PAGES if BLOCK.search(page.read_text())]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda p: p.name)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo.model_path(), tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for language, text in BLOCK.findall(page.read_text()):
        if language == "python":
            exec(compile(text, page.name, "exec"), names)
            continue
        for line in text.splitlines():
            if line.startswith("$ dlc "):
                with pytest.raises(SystemExit) as stop:
                    main(shlex.split(line, comments=True)[2:])
                assert not stop.value.code, line


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_c_example_compiles_and_classifies(tmp_path: Path) -> None:
    import subprocess

    from dlc import api
    from dlc.backends.c99.toolchain import STRICT_FLAGS, find_compiler

    api.emit(demo.model_path(), tmp_path / "lenet", name="lenet")
    text = (ROOT / "docs" / "c_api.md").read_text()
    (example,) = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    images, labels = demo.heldout_digits()
    pixels = ",".join(map(str, images[0].ravel().tolist()))
    (tmp_path / "main.c").write_text(
        f"{example}\nint main(void) {{\n    static const float image[1024] = {{{pixels}}};\n"
        "    float p[10];\n    int best = 0;\n    if (classify(image, p) != LENET_OK) {\n"
        "        return 100;\n    }\n    for (int i = 1; i < 10; i++) {\n"
        "        best = p[i] > p[best] ? i : best;\n    }\n    return best;\n}\n"
    )
    compiler = find_compiler()
    folder = tmp_path / "lenet"
    subprocess.run(
        [*compiler.command, *STRICT_FLAGS, "-I", folder, tmp_path / "main.c", folder / "model.c",
         folder / "weights.c", "-o", tmp_path / "main"], check=True,
    )  # fmt: skip
    assert subprocess.run([tmp_path / "main"]).returncode == labels[0]
