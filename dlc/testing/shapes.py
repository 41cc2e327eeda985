"""Strategies for shapes and for what operators do to shapes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st


def shapes(
    min_rank: int = 0, max_rank: int = 4, min_size: int = 0, max_size: int = 6
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of ``min_rank`` to ``max_rank`` axes; sizes 0 and 1 are as likely as others."""
    sizes = st.integers(min_size, max_size)
    return st.lists(sizes, min_size=min_rank, max_size=max_rank).map(tuple)


def strides(rank: int, largest: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    """Steps of a window, one an axis, at least 1."""
    return st.tuples(*[st.integers(1, largest)] * rank)


def dilations(rank: int, largest: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    """Spreads of a window, one an axis, at least 1."""
    return st.tuples(*[st.integers(1, largest)] * rank)


def pads(extents: Sequence[int], beyond: int = 1) -> st.SearchStrategy[tuple[int, ...]]:
    """Padding on one side of each axis: 0 to ``beyond`` more than the window's extent there."""
    return st.tuples(*(st.integers(0, extent + beyond) for extent in extents))


def divisors(number: int) -> st.SearchStrategy[int]:
    """Divisors of a positive number: how many groups that many channels can form."""
    return st.sampled_from([d for d in range(1, number + 1) if number % d == 0])


def permutations(rank: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Orders of ``rank`` axes."""
    return st.permutations(range(rank)).map(tuple)


def slices(shape: Sequence[int], largest_step: int = 3) -> st.SearchStrategy[tuple[slice, ...]]:
    """A slice for each axis: steps of either sign, bounds inside, outside, negative or absent."""

    def of_axis(size: int) -> st.SearchStrategy[slice]:
        bound = st.none() | st.integers(-size - 2, size + 2)
        step = st.integers(1, largest_step) | st.integers(-largest_step, -1)
        return st.builds(slice, bound, bound, step)

    return st.tuples(*map(of_axis, shape))
