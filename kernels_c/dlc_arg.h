/* dlc_arg_max_<type>, dlc_arg_min_<type>: position of the extreme element along an axis.
 *
 * y[o][j] = the k for which x[o][k][j] is greatest, or least;  y  outer x inner;
 * x  outer x axis x inner. Of equal elements the first counts, or with `last` the last. NaN is never
 * the extreme, unless it is the first element: then the result is 0. axis at least 1.
 */
#ifndef DLC_ARG_H
#define DLC_ARG_H

#include <stddef.h>
#include <stdint.h>

#define DLC_ARG(T, function, name, beats)                                                          \
    static inline void dlc_arg_##function##_##name(int64_t *y, const T *x, ptrdiff_t outer,        \
                                                   ptrdiff_t axis, ptrdiff_t inner,                \
                                                   ptrdiff_t last) {                               \
        for (ptrdiff_t o = 0; o < outer; o++, x += axis * inner) {                                 \
            for (ptrdiff_t j = 0; j < inner; j++) {                                                \
                ptrdiff_t best = 0;                                                                \
                T extreme = x[j];                                                                  \
                for (ptrdiff_t k = 1; k < axis; k++) {                                             \
                    const T v = x[k * inner + j];                                                  \
                    if (v beats extreme || (last && v == extreme)) {                               \
                        extreme = v;                                                               \
                        best = k;                                                                  \
                    }                                                                              \
                }                                                                                  \
                *y++ = best;                                                                       \
            }                                                                                      \
        }                                                                                          \
    }
#define DLC_ARG_BOTH(T, name)                                                                      \
    DLC_ARG(T, max, name, >)                                                                       \
    DLC_ARG(T, min, name, <)

DLC_ARG_BOTH(float, f32)
DLC_ARG_BOTH(double, f64)
DLC_ARG_BOTH(int8_t, i8)
DLC_ARG_BOTH(int16_t, i16)
DLC_ARG_BOTH(int32_t, i32)
DLC_ARG_BOTH(int64_t, i64)
DLC_ARG_BOTH(uint8_t, u8)
DLC_ARG_BOTH(uint16_t, u16)
DLC_ARG_BOTH(uint32_t, u32)
DLC_ARG_BOTH(uint64_t, u64)

#endif
