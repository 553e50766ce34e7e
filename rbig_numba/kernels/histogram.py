"""Histograms of columns that keep each bin's weight, mean and spread."""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import kernel

# Edges doubled in distance beyond the sample, on each side: for rows that it missed.
OUTER_EDGES = 16
# Of the other edges of a column with more values than bins: about as many at equal steps of mass,
# and as many on a lattice.
QUANTILES = 320
LATTICE = 160
# Mass outside of the table that `find_bins` looks bins up in.
_OUTSIDE = 1.0 / 256.0
# Edges in one cell of a column without spikes: of each of the two kinds, and one by chance.
_UNCROWDED = 3


@kernel
def accumulated(weights):
    """Return the running sum of weights (S,)."""
    mass = np.empty(weights.size)
    total = 0.0
    for i in range(weights.size):
        total += weights[i]
        mass[i] = total
    return mass


@kernel
def quantile(x, mass, probability):
    """Return the first of sorted values (S,) at which their mass reaches a probability."""
    wanted = probability * mass[mass.size - 1]
    low, high = 0, x.size - 1
    while low < high:
        middle = (low + high) // 2
        if mass[middle] >= wanted:
            high = middle
        else:
            low = middle + 1
    return x[low]


@kernel
def place_middles(x, mass, steps, edges):
    """Put edges between distinct ones of sorted values (S,); return how many there would be.

    With steps = 0 between all of them. Otherwise where the mass passes the next of equal steps,
    and also below a value that is as heavy as a step.
    """
    step = mass[x.size - 1] / steps
    wanted, count, ahead = step, 0, 0
    for i in range(x.size - 1):
        while steps > 0 and ahead < x.size - 1 and mass[ahead] < mass[i] + step:
            ahead += 1
        if x[i + 1] > x[i] and (steps == 0 or mass[i] >= wanted or x[ahead] == x[i + 1]):
            if count < edges.size:
                middle = 0.5 * x[i] + 0.5 * x[i + 1]
                edges[count] = middle if middle > x[i] else x[i + 1]
            count += 1
            wanted = step * (math.floor(mass[i] / step) + 1.0)
    return count


@kernel
def place_lattice(x, mass, edges):
    """Fill edges from the lowest to the highest of sorted values, and beyond.

    Steps are equal within the bulk and grow in proportion to the distance from it: an outlier at
    1e6 leaves the others their bins. The first edge is half a step above the lowest value: on it,
    rounding would say which bin that row is in, and order of rows or blocks would change the fit.
    """
    low, high, centre = x[0], x[x.size - 1], quantile(x, mass, 0.5)
    scale = (quantile(x, mass, 0.9) - quantile(x, mass, 0.1)) / 2.563
    scale = max(scale, 1e-6 * (high - low))
    n_inner = edges.size - 2 * OUTER_EDGES
    start = math.asinh((low - centre) / scale)
    step = (math.asinh((high - centre) / scale) - start) / n_inner
    for i in range(n_inner):
        edges[i] = centre + scale * math.sinh(start + (i + 0.5) * step)
    distance = (high - low) / 16.0
    for i in range(n_inner, edges.size, 2):
        edges[i], edges[i + 1] = low - distance, high + distance
        distance *= 2.0


@kernel
def sort_in_place(values):
    """Sort almost sorted parts, by insertion: Numba's `sort` takes 1.5 s to compile."""
    for i in range(1, values.size):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@kernel
def place_edges(x, mass, edges):
    """Fill edges (B - 1,), ascending and padded with inf, from sorted values (S,) and their mass.

    Up to B distinct values get a bin each. Otherwise edges stand at equal steps of mass, so that
    spikes are resolved, and on a lattice, so that tails are.
    """
    count = place_middles(x, mass, 0, edges)
    if count > edges.size:
        most = edges.size - 4 * OUTER_EDGES
        count = min(place_middles(x, mass, QUANTILES, edges[:most]), most)
        n_lattice = min(edges.size - count, LATTICE + 2 * OUTER_EDGES)
        place_lattice(x, mass, edges[count : count + n_lattice])
        count += n_lattice
        sort_in_place(edges[:count])
    for i in range(count, edges.size):
        edges[i] = np.inf


@kernel
def place_centres(edges, centres):
    """Fill centres (B,) with a finite number in or near each bin of padded edges (B - 1,)."""
    last = edges[0] if edges[0] < np.inf else 0.0
    for b in range(centres.size):
        low = edges[max(b - 1, 0)]
        high = edges[min(b, edges.size - 1)]
        if high < np.inf:
            centres[b] = 0.5 * low + 0.5 * high
            last = high
        else:
            centres[b] = last


@kernel
def cell_of(x, lookup, n_cells):
    """Return the cell of x on a lattice: 0 and n_cells - 1 are all that is outside, NaN is in 0."""
    place = (x - lookup[0]) * lookup[1] + 1.0
    return int(min(place, n_cells - 1.0)) if place > 0.0 else 0


@kernel
def is_smooth(x, mass, n_bins):
    """Whether sorted values (S,) differ in more than n_bins, and none is as heavy as a step."""
    n_distinct, below = 0, 0.0
    for i in range(x.size):
        if i == x.size - 1 or x[i + 1] > x[i]:
            if mass[i] - below >= mass[x.size - 1] / QUANTILES:
                return False
            n_distinct, below = n_distinct + 1, mass[i]
    return n_distinct > n_bins


@kernel
def fill_table(x, mass, edges, table, lookup):
    """Fill table (C,) with how many edges lie below each cell of a lattice over the central mass.

    lookup (3,) receives the lattice's origin and cells per unit, and the levels of search that
    the most crowded of the cells needs. If the column is smooth and cells are not crowded, edges
    move to the end of their cells, which leaves nothing to search.
    """
    low, high = quantile(x, mass, _OUTSIDE), quantile(x, mass, 1.0 - _OUTSIDE)
    lookup[0] = low
    # A trifle wider than the mass: no value of the sample lies where rounding says on which side.
    lookup[1] = (table.size - 2.001) / (high - low) if high > low else 0.0
    for c in range(table.size):
        table[c] = 0
    for b in range(edges.size):
        if edges[b] < np.inf:
            table[cell_of(edges[b], lookup, table.size)] += 1
    most, below = 0, 0
    for c in range(table.size):
        inside = table[c]
        table[c] = below
        below += inside
        if 0 < c < table.size - 1:
            most = max(most, inside)
    lookup[2] = math.ceil(math.log2(most + 1.0))
    if most <= _UNCROWDED and is_smooth(x, mass, edges.size + 1):
        lookup[2] = 0.0
        for b in range(edges.size):
            c = cell_of(edges[b], lookup, table.size)
            if 0 < c < table.size - 1:
                edges[b] = low + c / lookup[1]


@kernel
def find_bins(x, edges, table, lookup, bins):
    """Fill bins (N,) with how many of the ascending edges lie at or below each x (N,).

    edges are padded with inf to twice the bins. A table gives the first candidate; all rows take
    each level of the search among the others together: a branch-free loop, where a search row by
    row waits for a wrong guess at every second level. The few rows outside of the table walk.
    """
    low, high = -np.inf, np.inf
    if lookup[1] > 0.0:
        low, high = lookup[0], lookup[0] + (table.size - 2) / lookup[1]
    for i in range(x.size):
        bins[i] = table[cell_of(x[i], lookup, table.size)]
    step = 1 << int(lookup[2])
    while step > 1:
        step >>= 1
        for i in range(x.size):
            reached = edges[bins[i] + np.int32(step - 1)] <= x[i]
            bins[i] += np.int32(step) if reached else np.int32(0)
    for i in range(x.size):
        if not low <= x[i] < high:
            while edges[bins[i]] <= x[i]:
                bins[i] += np.int32(1)


@kernel
def accumulate(x, row_weights, bins, centres, sums):
    """Add a column (N,) with row weights (N,), sorted into bins (N,), to sums (B, 3).

    centres (B,) are any reference value in each bin; sums holds the weight and the first two
    moments about the centre, which keeps them accurate for bins far from zero.
    """
    for i in range(x.size):
        b = bins[i]
        distance = x[i] - centres[b]
        weighted = row_weights[i] * distance
        sums[b, 0] += row_weights[i]
        sums[b, 1] += weighted
        sums[b, 2] += weighted * distance
