/* dlc_tree_ensemble_<function>_<type>: rows walk down decision trees, whose leaves' weights combine.
 *
 * y        rows x targets;  x  rows x features;  no overlap;  function: add, min or max
 * nodes    count x 4: feature, test, where to go if the test passes, where to go if not
 * test     of feature against thresholds[node]: 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=, plus 8 if NaN
 *          passes; the argument test is that of all nodes, or -1
 * where    to a later node, or, if negative, to leaf -1 - where; so roots, one for each tree
 * starts   leaf l gives weights[j] to target ids[j] for starts[l] <= j < starts[l + 1]
 * A target that was given nothing is 0 for add, NaN for min and max.
 * All tables are checked when compiling: every walk ends, and stays inside of them.
 * Blocks of rows go through one tree after the other, which stays in the cache for them.
 */
#ifndef DLC_TREE_ENSEMBLE_H
#define DLC_TREE_ENSEMBLE_H

#include "dlc_bits.h"
#include "dlc_kernel.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DLC_TREE_ROWS 64

#define DLC_TREE_BRANCH(T, name)                                                                   \
    DLC_KERNEL bool dlc_tree_branch_##name(int32_t test, T value, T threshold) {                   \
        if (test >= 8 && value != value) {                                                         \
            return true;                                                                           \
        }                                                                                          \
        switch (test % 8) {                                                                        \
        case 0:                                                                                    \
            return value <= threshold;                                                             \
        case 1:                                                                                    \
            return value < threshold;                                                              \
        case 2:                                                                                    \
            return value >= threshold;                                                             \
        case 3:                                                                                    \
            return value > threshold;                                                              \
        case 4:                                                                                    \
            return value == threshold;                                                             \
        default:                                                                                   \
            return value != threshold;                                                             \
        }                                                                                          \
    }                                                                                              \
    DLC_KERNEL ptrdiff_t dlc_tree_leaf_##name(const T *x, const int32_t *nodes,                    \
                                              const T *thresholds, int32_t at, int32_t same) {     \
        while (at >= 0) {                                                                          \
            const int32_t *node = nodes + (ptrdiff_t)at * 4;                                       \
            const int32_t test = same < 0 ? node[1] : same;                                        \
            const bool passes = dlc_tree_branch_##name(test, x[node[0]], thresholds[at]);          \
            at = node[3 - passes];                                                                 \
        }                                                                                          \
        return -1 - (ptrdiff_t)at;                                                                 \
    }

#define DLC_TREE_ENSEMBLE(T, name, function, start, combined)                                      \
    DLC_KERNEL void dlc_tree_ensemble_##function##_##name(                                         \
        T *y, const T *x, const int32_t *nodes, const T *thresholds, const int32_t *roots,         \
        const int32_t *starts, const int32_t *ids, const T *weights, ptrdiff_t rows,               \
        ptrdiff_t features, ptrdiff_t trees, ptrdiff_t targets, ptrdiff_t test) {                  \
        for (ptrdiff_t i = 0; i < rows * targets; i++) {                                           \
            y[i] = start;                                                                          \
        }                                                                                          \
        for (ptrdiff_t block = 0; block < rows; block += DLC_TREE_ROWS) {                          \
            const ptrdiff_t end = rows - block < DLC_TREE_ROWS ? rows : block + DLC_TREE_ROWS;     \
            for (ptrdiff_t tree = 0; tree < trees; tree++) {                                       \
                for (ptrdiff_t row = block; row < end; row++) {                                    \
                    const ptrdiff_t leaf = dlc_tree_leaf_##name(                                   \
                        x + row * features, nodes, thresholds, roots[tree], (int32_t)test);        \
                    T *to = y + row * targets;                                                     \
                    for (int32_t j = starts[leaf]; j < starts[leaf + 1]; j++) {                    \
                        const T a = to[ids[j]], b = weights[j];                                    \
                        to[ids[j]] = combined;                                                     \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

/* nothing is NaN, which no comparison keeps */
#define DLC_TREE_ENSEMBLE_ALL(T, name, nothing)                                                    \
    DLC_TREE_BRANCH(T, name)                                                                       \
    DLC_TREE_ENSEMBLE(T, name, add, 0, a + b)                                                      \
    DLC_TREE_ENSEMBLE(T, name, min, nothing, a <= b ? a : b)                                       \
    DLC_TREE_ENSEMBLE(T, name, max, nothing, a >= b ? a : b)

DLC_TREE_ENSEMBLE_ALL(float, f32, DLC_NAN_F32)
DLC_TREE_ENSEMBLE_ALL(double, f64, DLC_NAN_F64)

#endif
