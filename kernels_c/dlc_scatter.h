/* dlc_scatter_<function>_<type>: y[index[i]][:] = function(y[index[i]][:], updates[i][:]).
 *
 * y        rows x inner elements, read and written; function: add, mul, max or min
 * updates  count x inner; index: count row numbers; negative ones count from the end
 * dlc_scatter_set copies rows of inner bytes, of any type. Updates of one row are applied in order.
 * Integers wrap; max and min give NaN if either is NaN.
 * Returns 0, or DLC_BAD_INDEX when an index is out of range; then nothing is written.
 */
#ifndef DLC_SCATTER_H
#define DLC_SCATTER_H

#include "dlc_max.h"
#include "dlc_min.h"
#include "dlc_status.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline int dlc_check_rows(const int64_t *index, ptrdiff_t count, ptrdiff_t rows) {
    for (ptrdiff_t i = 0; i < count; i++) {
        if (index[i] < -rows || index[i] >= rows) {
            return DLC_BAD_INDEX;
        }
    }
    return 0;
}

static inline int dlc_scatter_set(unsigned char *y, const unsigned char *updates,
                                  const int64_t *index, ptrdiff_t rows, ptrdiff_t inner,
                                  ptrdiff_t count) {
    if (dlc_check_rows(index, count, rows) != 0) {
        return DLC_BAD_INDEX;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        const ptrdiff_t at = (ptrdiff_t)index[i] + (index[i] < 0 ? rows : 0);
        memcpy(y + at * inner, updates + i * inner, (size_t)inner);
    }
    return 0;
}

#define DLC_SCATTER(T, name, function, combined)                                                   \
    static inline int dlc_scatter_##function##_##name(T *y, const T *updates,                      \
                                                      const int64_t *index, ptrdiff_t rows,        \
                                                      ptrdiff_t inner, ptrdiff_t count) {          \
        if (dlc_check_rows(index, count, rows) != 0) {                                             \
            return DLC_BAD_INDEX;                                                                  \
        }                                                                                          \
        for (ptrdiff_t i = 0; i < count; i++) {                                                    \
            T *to = y + ((ptrdiff_t)index[i] + (index[i] < 0 ? rows : 0)) * inner;                 \
            for (ptrdiff_t j = 0; j < inner; j++) {                                                \
                const T a = to[j], b = updates[i * inner + j];                                     \
                to[j] = combined;                                                                  \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }

/* W: the unsigned type in which T wraps */
#define DLC_SCATTER_ALL(T, name, W)                                                                \
    DLC_SCATTER(T, name, add, (T)((W)a + (W)b))                                                    \
    DLC_SCATTER(T, name, mul, (T)((W)a * (W)b))                                                    \
    DLC_SCATTER(T, name, max, dlc_max_##name(a, b))                                                \
    DLC_SCATTER(T, name, min, dlc_min_##name(a, b))

DLC_SCATTER_ALL(float, f32, float)
DLC_SCATTER_ALL(double, f64, double)
DLC_SCATTER_ALL(int8_t, i8, uint32_t)
DLC_SCATTER_ALL(int16_t, i16, uint32_t)
DLC_SCATTER_ALL(int32_t, i32, uint32_t)
DLC_SCATTER_ALL(int64_t, i64, uint64_t)
DLC_SCATTER_ALL(uint8_t, u8, uint32_t)
DLC_SCATTER_ALL(uint16_t, u16, uint32_t)
DLC_SCATTER_ALL(uint32_t, u32, uint32_t)
DLC_SCATTER_ALL(uint64_t, u64, uint64_t)

#endif
