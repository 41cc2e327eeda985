"""The arena interpreter: runs a program in numpy inside the very bytes the plan gives it.

It proves a plan without a C compiler: whatever a step may not rely on is poisoned before it runs
(the bytes it is about to store, except where it overwrites an operand element by element) and what
dies is poisoned afterwards, so a plan that is wrong gives wrong results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dlc.errors import InputError, PlanError
from dlc.interp import input_sizes, largest
from dlc.ir.operator import Array, Constant
from dlc.ir.sizes import Symbol
from dlc.ir.types import TensorType
from dlc.ops.emission import as_copy, overwritable
from dlc.plan.links import joined_bytes, undisturbed
from dlc.plan.program import Buffer, Placement, Program, Space, Step

#: NaN in every float type, minus one in every signed integer type
POISON = 0xFF


def simulate(program: Program, inputs: Sequence[Array]) -> list[Array]:
    """The graph's outputs for these inputs (both in the graph's order), computed in the arena.

    Raises PlanError when a buffer has no offset or reaches out of the arena, InputError when a size
    known only at run time lies outside its interval.
    """
    return _Memory(program, inputs).run()


class _Memory:
    def __init__(self, program: Program, inputs: Sequence[Array]) -> None:
        self.program = program
        graph = program.graph
        if len(inputs) != len(graph.inputs):
            raise InputError(f"graph {graph.name!r} takes {len(graph.inputs)} inputs, not {len(inputs)}")  # fmt: skip
        self.arena = np.full(program.arena_bytes, POISON, np.uint8)
        types = [value.type for value in graph.inputs]
        #: values of symbols so far
        self.sizes = input_sizes(types, [array.shape for array in inputs])
        self.bytes = [self._memory(buffer, inputs) for buffer in program.buffers]

    def _memory(self, buffer: Buffer, inputs: Sequence[Array]) -> Array:
        if buffer.space is Space.ARENA:
            if buffer.offset is None or buffer.offset + buffer.size > len(self.arena):
                raise PlanError(f"buffer {buffer.id} has no place in the arena; run plan-arena")
            return self.arena[buffer.offset : buffer.offset + buffer.size]
        if buffer.space is Space.OUTPUT:
            return np.full(buffer.size, POISON, np.uint8)
        if buffer.space is Space.INPUT:
            array, type = inputs[buffer.index], self.program.graph.inputs[buffer.index].type
            if array.shape != self._now(type).dims or array.dtype != type.dtype.numpy:
                raise InputError(f"input {buffer.index} is {array.dtype}{list(array.shape)}, not {type}")  # fmt: skip
            size = type.nbytes
        else:
            operator = self.program.constants[buffer.index].operator
            assert isinstance(operator, Constant)
            array = operator.value.array
            size = array.nbytes
        if buffer.size != size:
            raise PlanError(f"buffer {buffer.id} has {buffer.size} bytes where {size} are needed")
        memory = np.full(size, POISON, np.uint8)  # an array may be smaller than its bound
        memory[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        memory.flags.writeable = False
        return memory

    def run(self) -> list[Array]:
        graph = self.program.graph
        for step in self.program.steps:
            self._step(step)
            for number in step.frees:
                self.bytes[number][:] = POISON
        outputs: list[Array | None] = [None] * len(graph.outputs)
        for copy in self.program.copies:
            outputs[copy.output] = self._load(copy.source, graph.outputs[copy.output].type)
        for buffer, memory in zip(self.program.buffers, self.bytes, strict=True):
            if buffer.space is Space.OUTPUT:
                type = self._now(graph.outputs[buffer.index].type)
                dense = memory[: type.nbytes].view(type.dtype.numpy)
                outputs[buffer.index] = dense.reshape(type.dims)
        missing = [n for n, array in zip(graph.output_names, outputs, strict=True) if array is None]
        if missing:
            raise PlanError(f"nothing is ever stored to output {missing[0]!r}")
        return [array for array in outputs if array is not None]

    def _step(self, step: Step) -> None:
        types = [t for t in step.op.operand_types if t is not None]
        stored = [self._stored(step, i, types) for i in range(len(step.op.types))]
        kept = self._overwritten(step, types)
        for result, (place, mask) in enumerate(zip(step.results, stored, strict=True)):
            if result not in kept and mask.any():  # a view of an input is read only
                self._range(place, len(mask))[mask] = POISON
        if step.scratch is not None:
            self._range(step.scratch, step.emission.scratch)[:] = POISON
        operands = iter(
            self._load(place, type) for place, type in zip(step.operands, types, strict=True)
        )
        with np.errstate(all="ignore"):
            given = [None if value is None else next(operands) for value in step.op.operands]
            results = step.op.operator.at(self.sizes).evaluate(given)
        self._define(step.op.operator.define(given, results, step.op.types))
        for place, mask, array in zip(step.results, stored, results, strict=True):
            if mask.any():
                content = np.frombuffer(array.tobytes(), np.uint8)
                stored_now = mask[: len(content)]
                self._range(place, len(content))[stored_now] = content[stored_now]

    def _stored(self, step: Step, result: int, types: Sequence[TensorType]) -> Array:
        """Which bytes of a result the step stores; the others are there already, copies elided."""
        type = step.op.types[result]
        mask = np.ones(type.nbytes, bool)
        for number in step.elided & undisturbed(step.emission, result):
            copy = as_copy(step.emission.parts[number])
            if copy is not None and copy.result == result:
                unit = type.dtype.nbytes
                size = joined_bytes(copy, types[copy.operand], type)
                mask[copy.target * unit : copy.target * unit + size] = False
        return mask

    def _overwritten(self, step: Step, types: Sequence[TensorType]) -> set[int]:
        """Results that take the place of an operand, element by element or by a vanished copy."""
        pairs = set(overwritable(step.emission))
        copies = [as_copy(step.emission.parts[number]) for number in step.elided]
        pairs |= {(copy.operand, copy.result) for copy in copies if copy is not None}
        return {
            result
            for operand, result in pairs
            if step.operands[operand] == step.results[result]
            and types[operand].nbytes == step.op.types[result].nbytes
        }

    def _now(self, type: TensorType) -> TensorType:
        """The type as it is in this run."""
        return type if type.is_static else largest(type, self.sizes)

    def _define(self, found: Mapping[Symbol, int]) -> None:
        for symbol, value in found.items():
            if not symbol.low <= value <= symbol.bound:
                raise InputError(f"size {symbol.name} = {value} lies outside {symbol}")
            self.sizes[symbol] = value

    def _range(self, place: Placement, size: int) -> Array:
        return self.bytes[place.buffer][place.offset : place.offset + size]

    def _load(self, place: Placement, type: TensorType) -> Array:
        type = self._now(type)
        memory = self._range(place, type.nbytes)
        if len(memory) != type.nbytes:
            raise PlanError(f"a value of {type} reaches out of buffer {place.buffer}")
        return memory.copy().view(type.dtype.numpy).reshape(type.dims)
