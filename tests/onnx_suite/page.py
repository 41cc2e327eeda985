"""What a run of the suite is kept as: docs/coverage.md, the operators dlc supports, what is known."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dlc.importer.sequences import TAKEN_APART
from dlc.ops.table import onnx_table
from onnx_suite.cases import KINDS, cases
from onnx_suite.describing import io_kinds, uses
from onnx_suite.running import Outcome
from onnx_suite.selection import takes_parameters, why_special

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coverage.md"
SUPPORT = ROOT / "dlc" / "ops" / "support.json"
KNOWN = ROOT / "tests" / "conformance" / "backend_known.toml"
COMMAND = "python tests/benchmarks/backend_suite.py --write"


def write(outcomes: Mapping[str, Outcome]) -> None:
    """Renew all three from a run of everything."""
    found = support(outcomes)
    SUPPORT.write_text(_json(found), encoding="utf-8")
    KNOWN.write_text(_toml(outcomes), encoding="utf-8")
    PAGE.write_text("\n".join(_page(outcomes)) + "\n", encoding="utf-8")


def known() -> dict[str, dict[str, str]]:
    """The cases known not to pass, with reasons, by kind."""
    return tomllib.loads(KNOWN.read_text(encoding="utf-8"))


def short(reason: str, width: int = 160) -> str:
    """A reason without what differs from run to run, in one line of a table."""
    reason = " ".join(reason.split()).replace("|", "/")
    reason = re.sub(r"/\S*/(dlc-suite-\w+/)?", "", reason)
    return reason if len(reason) <= width else f"{reason[: width - 3].rstrip()}..."


def support(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, object]]:
    """By operator: operator sets, element types of first operands, and numbers of cases that pass."""
    dtypes: dict[str, set[str]] = defaultdict(set)
    opsets: dict[str, set[int]] = defaultdict(set)
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, outcome in outcomes.items():
        found = uses(name)
        total.update({use.label for use in found})
        if not outcome.passed:
            continue
        passed.update({use.label for use in found})
        for use in found:
            opsets[use.label].add(use.opset)
            if use.dtype:
                dtypes[use.label].add(use.dtype)
    return {
        label: {"opsets": sorted(opsets[label]), "dtypes": sorted(dtypes[label]),
                "passed": passed[label], "cases": total[label]}
        for label in sorted(total)
    }  # fmt: skip


def _json(found: Mapping[str, object]) -> str:
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in found.items())
    return f"{{\n{rows}\n}}\n"


def _toml(outcomes: Mapping[str, Outcome]) -> str:
    lines = [
        "# Cases of onnx's backend suite that do not pass, and why; written by",
        f"# {COMMAND}",
    ]
    for kind in KINDS:
        lines += ["", f"[{kind}]"]
        lines += [f"{name} = {json.dumps(short(o.reason))}" for name, o in sorted(outcomes.items())
                  if cases()[name].kind == kind and not o.passed]  # fmt: skip
    return "\n".join(lines) + "\n"


def _share(outcomes: Iterable[Outcome]) -> str:
    found = [outcome.passed for outcome in outcomes]
    return f"{sum(found)} | {len(found)} | {100 * sum(found) / max(len(found), 1):.1f} %"


def _page(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    import onnx

    yield from ("# Coverage of ONNX", "", f"<!-- written by {COMMAND} -->", "")
    yield f"The backend test suite of onnx {onnx.__version__} through dlc: each model is imported, compiled to C99,"
    yield "built and run on every data set of the test; results have the expected dtype and shape, and"
    yield "values within the suite's own tolerance. Operands that say shapes, axes and the like are given at"
    yield "run time wherever the test gives them so. A test with sequences, optionals or open sizes is compiled for"
    yield "the lengths and sizes it gives (with sequences, where need be, for integers it gives: see"
    yield "`sizes_of` in dlc/onnx_backend.py). Random numbers that differ count as not passing, too."
    yield from ("", "| kind | pass | tests | share |", "|---|---:|---:|---:|")
    for kind in KINDS:
        yield f"| {kind} | {_share(o for n, o in outcomes.items() if cases()[n].kind == kind)} |"
    yield f"| all | {_share(outcomes.values())} |"
    yield from _plain_section(outcomes)
    yield from _failing_section(outcomes)
    yield from _operator_section(support(outcomes))


def _plain_section(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    special = {name: why_special(name) for name in outcomes}
    plain = {name: outcomes[name] for name, why in special.items() if not why}
    yield from ("", "## The plain part", "")
    yield "Static inputs and outputs, element types of C, standard domains, no subgraph, no random"
    yield "numbers, no size that depends on data (`why_special` in tests/onnx_suite/selection.py says it in full)."
    yield from ("", "| part | pass | tests | share |", "|---|---:|---:|---:|")
    yield f"| plain | {_share(plain.values())} |"
    for text, wanted in (
        ("shapes, axes and the like given at run time", True),
        ("all others", False),
    ):
        part = (o for n, o in plain.items() if takes_parameters(n) == wanted)
        yield f"| of these: {text} | {_share(part)} |"
    for why, _ in Counter(w for w in special.values() if w).most_common():
        part = (outcomes[n] for n, w in special.items() if w == why)
        yield f"| not plain: {why} | {_share(part)} |"


def _failing_section(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    yield from ("", "## Tests that do not pass", "")
    yield from ("| test | operators | types | opset | reason |", "|---|---|---|---|---|")
    for name, outcome in sorted(outcomes.items()):
        if outcome.passed:
            continue
        labels = list(dict.fromkeys(use.label for use in uses(name)))
        ops = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
        opset = max((use.opset for use in uses(name)), default=0)
        yield f"| {name} | {ops} | {', '.join(io_kinds(name))} | {opset} | {short(outcome.reason)} |"


def _operator_section(found: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    yield from ("", "## Operators", "")
    yield "Versions are the operator sets at which an operator was introduced or changed. Opsets and types are"
    yield "those of passing tests that use it; the type is that of the first operand. How: through an"
    yield "expansion into core operators, the function body onnx gives, or taken apart while importing."
    yield ""
    yield "| operator | versions | how | pass | tests | opsets | types |"
    yield "|---|---|---|---:|---:|---|---|"
    for row in onnx_table(TAKEN_APART):
        seen = found.get(row.label, {})
        opsets = seen.get("opsets", [])
        assert isinstance(opsets, list)
        span = f"{opsets[0]} to {opsets[-1]}" if len(opsets) > 1 else "".join(map(str, opsets))
        kinds = ", ".join(map(str, seen.get("dtypes", [])))  # type: ignore[call-overload]
        versions = ", ".join(map(str, row.versions))
        yield (f"| {row.label} | {versions} | {row.how} | {seen.get('passed', 0)} "
               f"| {seen.get('cases', 0)} | {span} | {kinds} |")  # fmt: skip
