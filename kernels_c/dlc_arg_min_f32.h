/* dlc_arg_min_f32: position of the least element along an axis.
 *
 * y[o][j] = the k for which x[o][k][j] is least;  y  outer x inner;  x  outer x axis x inner.
 * Of equal elements the first counts, or with `last` the last. NaN is never least, unless it is
 * the first element: then the result is 0. axis at least 1.
 */
#ifndef DLC_ARG_MIN_F32_H
#define DLC_ARG_MIN_F32_H

#include <stddef.h>
#include <stdint.h>

static inline void dlc_arg_min_f32(int64_t *y, const float *x, ptrdiff_t outer, ptrdiff_t axis,
                                   ptrdiff_t inner, ptrdiff_t last) {
    for (ptrdiff_t o = 0; o < outer; o++, x += axis * inner) {
        for (ptrdiff_t j = 0; j < inner; j++) {
            ptrdiff_t best = 0;
            float extreme = x[j];
            for (ptrdiff_t k = 1; k < axis; k++) {
                const float v = x[k * inner + j];
                if (v < extreme || (last && v == extreme)) {
                    extreme = v;
                    best = k;
                }
            }
            *y++ = best;
        }
    }
}

#endif
