/* dlc_unique_<type>: the distinct rows of a matrix.
 *
 * x  rows x inner;  the results have room for one entry a row, and *count says how many there are
 * first    the row each distinct one is first found in;  counts  how often it comes
 * inverse  rows entries, the number of the distinct row that each row equals
 * order    scratch of rows entries;  sorted: 1 for lexicographic order, 0 for that of appearance
 * NaN equals NaN and is greater than every number.
 * Method: heap sort of row numbers (Williams 1964), equal rows by number.
 */
#ifndef DLC_UNIQUE_H
#define DLC_UNIQUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DLC_UNIQUE_ABOVE_INTEGER(a, b) ((a) > (b))
#define DLC_UNIQUE_ABOVE_FLOAT(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))

#define DLC_UNIQUE(T, name, above)                                                                 \
    /* negative, 0 or positive as row a is below, equal to or above row b */                       \
    static inline int dlc_unique_compare_##name(const T *x, ptrdiff_t inner, int64_t a,            \
                                                int64_t b) {                                       \
        const T *p = x + (ptrdiff_t)a * inner, *q = x + (ptrdiff_t)b * inner;                      \
        for (ptrdiff_t i = 0; i < inner; i++) {                                                    \
            if (above(p[i], q[i])) {                                                               \
                return 1;                                                                          \
            }                                                                                      \
            if (above(q[i], p[i])) {                                                               \
                return -1;                                                                         \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }                                                                                              \
    static inline bool dlc_unique_after_##name(const T *x, ptrdiff_t inner, int64_t a,             \
                                               int64_t b) {                                        \
        const int order = dlc_unique_compare_##name(x, inner, a, b);                               \
        return order > 0 || (order == 0 && a > b);                                                 \
    }                                                                                              \
    static inline void dlc_unique_sift_##name(const T *x, ptrdiff_t inner, int64_t *heap,          \
                                              ptrdiff_t at, ptrdiff_t size) {                      \
        for (ptrdiff_t child = 2 * at + 1; child < size; at = child, child = 2 * at + 1) {         \
            child += child + 1 < size &&                                                           \
                     dlc_unique_after_##name(x, inner, heap[child + 1], heap[child]);              \
            const int64_t down = heap[at], up = heap[child];                                       \
            if (dlc_unique_after_##name(x, inner, down, up)) {                                     \
                return;                                                                            \
            }                                                                                      \
            heap[at] = up;                                                                         \
            heap[child] = down;                                                                    \
        }                                                                                          \
    }                                                                                              \
    static inline void dlc_unique_sort_##name(const T *x, ptrdiff_t inner, int64_t *order,         \
                                              ptrdiff_t rows) {                                    \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                     \
            order[i] = i;                                                                          \
        }                                                                                          \
        for (ptrdiff_t i = rows / 2 - 1; i >= 0; i--) {                                            \
            dlc_unique_sift_##name(x, inner, order, i, rows);                                      \
        }                                                                                          \
        for (ptrdiff_t size = rows - 1; size > 0; size--) {                                        \
            const int64_t last = order[0];                                                         \
            order[0] = order[size];                                                                \
            order[size] = last;                                                                    \
            dlc_unique_sift_##name(x, inner, order, 0, size);                                      \
        }                                                                                          \
    }                                                                                              \
    static inline void dlc_unique_##name(int64_t *first, int64_t *inverse, int64_t *counts,        \
                                         int64_t *order, ptrdiff_t *count, const T *x,             \
                                         ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t sorted) {      \
        ptrdiff_t groups = 0;                                                                      \
        dlc_unique_sort_##name(x, inner, order, rows);                                             \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                     \
            if (i == 0 || dlc_unique_compare_##name(x, inner, order[i - 1], order[i]) != 0) {      \
                first[groups] = order[i];                                                          \
                counts[groups++] = 0;                                                              \
            }                                                                                      \
            inverse[order[i]] = groups - 1;                                                        \
            counts[groups - 1]++;                                                                  \
        }                                                                                          \
        *count = groups;                                                                           \
        if (sorted) {                                                                              \
            return;                                                                                \
        }                                                                                          \
        ptrdiff_t seen = 0;                                                                        \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                     \
            if (first[inverse[i]] == i) {                                                          \
                order[inverse[i]] = seen++;                                                        \
            }                                                                                      \
        }                                                                                          \
        seen = 0;                                                                                  \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                     \
            inverse[i] = order[inverse[i]];                                                        \
            if (inverse[i] == seen) {                                                              \
                first[seen] = i;                                                                   \
                counts[seen++] = 0;                                                                \
            }                                                                                      \
            counts[inverse[i]]++;                                                                  \
        }                                                                                          \
    }

DLC_UNIQUE(float, f32, DLC_UNIQUE_ABOVE_FLOAT)
DLC_UNIQUE(double, f64, DLC_UNIQUE_ABOVE_FLOAT)
DLC_UNIQUE(int8_t, i8, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(int16_t, i16, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(int32_t, i32, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(int64_t, i64, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(uint8_t, u8, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(uint16_t, u16, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(uint32_t, u32, DLC_UNIQUE_ABOVE_INTEGER)
DLC_UNIQUE(uint64_t, u64, DLC_UNIQUE_ABOVE_INTEGER)

#endif
