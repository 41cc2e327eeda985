"""Candidate orders of the ops of a graph; which one is best is for the planner to measure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from dlc.ir.graph import Op, Value
from dlc.plan.timeline import Anatomy

#: ops up to which more than two orders are tried
SMALL = 600


def orders(anatomy: Anatomy) -> list[tuple[Op, ...]]:
    """Distinct topological orders worth trying, the graph's own first; deterministic."""
    found = [anatomy.ops, tuple(_depth_first(anatomy))]
    if len(anatomy.ops) <= SMALL:
        found += [tuple(_listed(anatomy, lambda op: op.id)), tuple(_greedy(anatomy))]
    return list(dict.fromkeys(found))


def _depth_first(anatomy: Anatomy) -> Iterator[Op]:
    """Operands before their reader, those that need most memory while they are computed first.

    The numbering of Sethi and Ullman (The Generation of Optimal Code for Arithmetic Expressions,
    1970), with bytes in place of registers; exact for trees.
    """
    need: dict[Op, int] = {}
    children: dict[Op, list[Op]] = {}
    for op in anatomy.ops:
        below = [o for o in _producers(op) if o in need]
        below.sort(key=lambda o: _made(o) - need[o])  # stable: equal ones keep operand order
        held, most = 0, 0
        for child in below:
            most = max(most, held + need[child])
            held += _made(child)
        need[op] = max(most, held + _made(op) + anatomy.emissions[op].scratch)
        children[op] = below
    roots = [v.op for v in anatomy.graph.outputs if v.op in need] + list(anatomy.ops)
    done: set[Op] = set()
    for root in roots:
        stack = [(root, iter(children[root]))]
        while stack:
            op, rest = stack[-1]
            if op in done:
                stack.pop()
                continue
            below_it = next((child for child in rest if child not in done), None)
            if below_it is not None:
                stack.append((below_it, iter(children[below_it])))
                continue
            stack.pop()
            done.add(op)
            yield op


def _listed(anatomy: Anatomy, key: Callable[[Op], int]) -> Iterator[Op]:
    """Always the ready op of least key: with ids as keys, the order ops were made in."""
    waiting, readers = _dependences(anatomy)
    ready = [(key(op), op.id, op) for op in anatomy.ops if not waiting[op]]
    heapq.heapify(ready)
    while ready:
        *_, op = heapq.heappop(ready)
        yield op
        for reader in readers[op]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, (key(reader), reader.id, reader))


def _greedy(anatomy: Anatomy) -> Iterator[Op]:
    """Always the ready op after which least bytes are live."""
    waiting, readers = _dependences(anatomy)
    outputs = set(anatomy.graph.outputs)
    unread = Counter(value for op in anatomy.ops for value in set(_operands(op)))
    fixed = {value for value in anatomy.values if value.op not in waiting}

    def growth(op: Op) -> tuple[int, int]:
        made = sum(v.type.nbytes for v in op.results if unread[v] and v not in outputs)
        freed = sum(
            value.type.nbytes
            for value in set(_operands(op))
            if unread[value] == 1 and value not in outputs and value not in fixed
        )
        return made - freed, op.id

    ready = [op for op in anatomy.ops if not waiting[op]]
    while ready:
        op = min(ready, key=growth)
        ready.remove(op)
        yield op
        unread.subtract(set(_operands(op)))
        for reader in readers[op]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)


def _dependences(anatomy: Anatomy) -> tuple[dict[Op, int], dict[Op, list[Op]]]:
    """How many producers each op waits for, and whom each op is waited for by."""
    readers: dict[Op, list[Op]] = {op: [] for op in anatomy.ops}
    waiting = {}
    for op in anatomy.ops:
        producers = [producer for producer in _producers(op) if producer in readers]
        waiting[op] = len(producers)
        for producer in producers:
            readers[producer].append(op)
    return waiting, readers


def _operands(op: Op) -> Sequence[Value]:
    return [value for value in op.operands if value is not None]


def _producers(op: Op) -> list[Op]:
    """Ops that must run before: they make operands, or give sizes their values."""
    definers = [op.graph.definer(symbol) for symbol in op.needs]
    made = [value.op for value in _operands(op)]
    return list(dict.fromkeys([*made, *(d for d in definers if d is not None and d is not op)]))


def _made(op: Op) -> int:
    return sum(t.nbytes for t in op.types)
