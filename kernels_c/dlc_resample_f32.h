/* dlc_resample_f32: weighted sums of positions along one axis (a step of a separable resize).
 *
 * y[o][i][:] = sum over t < taps of weight[i*taps+t] * x[o][index[i*taps+t]][:]
 * y  outer x count x inner;  x  outer x axis x inner;  every index in 0..axis-1;  no overlap.
 * With no taps y is 0.
 */
#ifndef DLC_RESAMPLE_F32_H
#define DLC_RESAMPLE_F32_H

#include "dlc_fma.h"
#include "dlc_kernel.h"
#include <stddef.h>
#include <stdint.h>

static inline void dlc_resample_f32(float *y, const float *x, const int32_t *index,
                                    const float *weight, ptrdiff_t outer, ptrdiff_t axis,
                                    ptrdiff_t inner, ptrdiff_t count, ptrdiff_t taps) {
    for (ptrdiff_t o = 0; o < outer; o++, x += axis * inner) {
        for (ptrdiff_t i = 0; i < count; i++, y += inner) {
            DLC_ROLLED
            for (ptrdiff_t j = 0; j < inner; j++) {
                y[j] = taps > 0 ? weight[i * taps] * x[index[i * taps] * inner + j] : 0.0f;
            }
            for (ptrdiff_t t = i * taps + 1; t < (i + 1) * taps; t++) {
                const float *from = x + index[t] * inner;
                DLC_ROLLED
                for (ptrdiff_t j = 0; j < inner; j++) {
                    y[j] = dlc_fma_f32(weight[t], from[j], y[j]);
                }
            }
        }
    }
}

#endif
