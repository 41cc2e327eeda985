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
 * Blocks of rows go through a few trees after the other, which stay in the cache for them; a row walks
 * down these at once, since each step waits for memory.
 */
#ifndef DLC_TREE_ENSEMBLE_H
#define DLC_TREE_ENSEMBLE_H

#include "dlc_bits.h"
#include "dlc_kernel.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DLC_TREE_ROWS 64
#define DLC_TREE_LANES 4 /* dlc_tree_walk writes them out */

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
    /* where these trees, DLC_TREE_LANES at most, end: at[k] is -1 - leaf */                       \
    DLC_KERNEL void dlc_tree_walk_##name(int32_t *at, const T *x, const int32_t *nodes,            \
                                         const T *thresholds, const int32_t *roots,                \
                                         ptrdiff_t many, int32_t same) {                           \
        for (int k = 0; k < DLC_TREE_LANES; k++) {                                                 \
            at[k] = k < many ? roots[k] : -1;                                                      \
        }                                                                                          \
        while ((at[0] & at[1] & at[2] & at[3]) >= 0) {                                             \
            for (int k = 0; k < DLC_TREE_LANES; k++) {                                             \
                const ptrdiff_t here = at[k] < 0 ? 0 : at[k];                                      \
                const int32_t *node = nodes + here * 4;                                            \
                const int32_t test = same < 0 ? node[1] : same;                                    \
                const bool passes = dlc_tree_branch_##name(test, x[node[0]], thresholds[here]);    \
                at[k] = at[k] < 0 ? at[k] : node[3 - passes];                                      \
            }                                                                                      \
        }                                                                                          \
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
            for (ptrdiff_t tree = 0; tree < trees; tree += DLC_TREE_LANES) {                       \
                const ptrdiff_t many =                                                             \
                    trees - tree < DLC_TREE_LANES ? trees - tree : DLC_TREE_LANES;                 \
                for (ptrdiff_t row = block; row < end; row++) {                                    \
                    int32_t at[DLC_TREE_LANES];                                                    \
                    T *to = y + row * targets;                                                     \
                    dlc_tree_walk_##name(at, x + row * features, nodes, thresholds, roots + tree,  \
                                         many, (int32_t)test);                                     \
                    for (ptrdiff_t k = 0; k < many; k++) {                                         \
                        const ptrdiff_t leaf = -1 - (ptrdiff_t)at[k];                              \
                        for (int32_t j = starts[leaf]; j < starts[leaf + 1]; j++) {                \
                            const T a = to[ids[j]], b = weights[j];                                \
                            to[ids[j]] = combined;                                                 \
                        }                                                                          \
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
