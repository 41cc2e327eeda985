"""Expansion of TfIdfVectorizer: each n-gram of the pool is compared with every window of a row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from dlc.ir.graph import Value
from dlc.ir.operator import Array
from dlc.ir.types import DType
from dlc.ops.build import cast, concat, constant, map_, reduce, reshape, slice_
from dlc.ops.onnx.expansion import Call, expansion
from dlc.ops.take import take


@expansion("TfIdfVectorizer")
def tf_idf(call: Call, x: Value) -> Value:
    """Counts of the n-grams, limited to 1 or weighted, sorted into the result's columns."""
    if call.attr("pool_int64s") is None or not x.type.dtype.is_integer:
        raise call.unsupported("n-grams of strings; map words to integers first")
    width, columns = x.shape[-1], call.shape[-1]
    rows = cast(reshape(x, [math.prod(x.shape[:-1]), width]), DType.I64)
    counts = [constant(x, np.zeros((rows.shape[0], 1)), DType.F32)]  # of no n-gram
    kept: list[int] = []
    for grams, numbers in _pools(call):
        counts.append(_count(rows, grams, int(call.attr("max_skip_count"))))
        kept += numbers.tolist()
    indexes = call.attr("ngram_indexes")
    given = min(len(call.attr("weights") or indexes), len(indexes))
    if max(kept, default=0) >= given or min(indexes, default=0) < 0:
        raise call.unsupported(f"its {given} ngram_indexes and weights do not suit the pool")
    places = [indexes[number] for number in kept]
    whole, mode = concat(counts, 1), call.attr("mode")
    if mode == "IDF":
        whole = map_("min(a0, 1.0)", whole)
    if mode != "TF" and call.attr("weights"):
        weights = [0.0, *(call.attr("weights")[number] for number in kept)]
        whole = map_("a0 * a1", whole, constant(x, weights, DType.F32))
    result = None
    for table in _tables(places, columns):  # more than one where n-grams share a column
        part = take(whole, {1: table})
        result = part if result is None else map_("a0 + a1", result, part)
    assert result is not None
    return reshape(result, call.shape)


def _pools(call: Call) -> Iterator[tuple[Array, Array]]:
    """For each length asked for, its n-grams [count, length] and their numbers in the pool."""
    pool = np.asarray(call.attr("pool_int64s"), np.int64)
    starts = [*(min(max(n, 0), len(pool)) for n in call.attr("ngram_counts")), len(pool)]
    first = 0
    for length, (start, end) in enumerate(pairwise(starts), 1):
        count = max(end - start, 0) // length
        if count and call.attr("min_gram_length") <= length <= call.attr("max_gram_length"):
            grams = pool[start : start + count * length].reshape(count, length)
            _, last = np.unique(grams[::-1], axis=0, return_index=True)
            kept = np.sort(count - 1 - last)  # of equal ones the last counts
            yield grams[kept], first + kept
        first += count


def _count(rows: Value, grams: Array, skips: int) -> Value:
    """How many windows of each row equal each n-gram, f32; elements up to ``skips`` apart from others."""
    (lines, width), length = rows.shape, grams.shape[1]
    total = None
    for distance in range(1, (skips if length > 1 else 0) + 2):
        windows = width - (length - 1) * distance
        if windows <= 0:
            break
        parts = [reshape(slice_(rows, [0, i * distance], [lines, windows]), [lines, windows, 1])
                 for i in range(length)]  # fmt: skip
        wanted = [constant(rows, column) for column in grams.T]
        equal = f"eq(a0, a{length})"
        for i in range(1, length):
            equal = f"and_({equal}, eq(a{i}, a{length + i}))"
        found = reduce("add", parts[0], [1], *parts[1:], *wanted, keepdims=False,
                       element=f"select({equal}, f32(1.0), 0.0)")  # fmt: skip
        total = found if total is None else map_("a0 + a1", total, found)
    return constant(rows, np.zeros((lines, len(grams))), DType.F32) if total is None else total


def _tables(places: list[int], columns: int) -> Iterator[Array]:
    """Tables of the counts (0 is of none) each column takes, until every count is taken."""
    waiting = list(enumerate(places, 1))
    while True:
        table, left = np.zeros(columns, np.int64), []
        for number, place in waiting:
            if table[place]:
                left.append((number, place))
            else:
                table[place] = number
        yield table
        if not left:
            return
        waiting = left
