/* dlc_det_<type>: determinants of square matrices.
 *
 * y      count determinants;  x  count x size x size
 * work   size x size elements that the kernel overwrites; no overlap
 * Method: Gaussian elimination, in each column the pivot of greatest magnitude. Of no rows it is 1.
 */
#ifndef DLC_DET_H
#define DLC_DET_H

#include "dlc_abs.h"
#include <stddef.h>
#include <string.h>

#define DLC_DET(T, name)                                                                           \
    static inline void dlc_det_##name(T *y, T *work, const T *x, ptrdiff_t count,                  \
                                      ptrdiff_t size) {                                            \
        for (ptrdiff_t n = 0; n < count; n++, x += size * size) {                                  \
            T product = 1;                                                                         \
            memcpy(work, x, (size_t)(size * size) * sizeof(T));                                    \
            for (ptrdiff_t k = 0; k < size; k++) {                                                 \
                ptrdiff_t best = k;                                                                \
                for (ptrdiff_t i = k + 1; i < size; i++) {                                         \
                    const T a = dlc_abs_##name(work[i * size + k]);                                \
                    best = a > dlc_abs_##name(work[best * size + k]) ? i : best;                   \
                }                                                                                  \
                for (ptrdiff_t j = k; j < size && best != k; j++) {                                \
                    const T held = work[k * size + j];                                             \
                    work[k * size + j] = work[best * size + j];                                    \
                    work[best * size + j] = held;                                                  \
                }                                                                                  \
                const T pivot = work[k * size + k];                                                \
                product *= best != k ? -pivot : pivot;                                             \
                for (ptrdiff_t i = k + 1; i < size && pivot != 0; i++) {                           \
                    const T factor = work[i * size + k] / pivot;                                   \
                    for (ptrdiff_t j = k + 1; j < size; j++) {                                     \
                        work[i * size + j] -= factor * work[k * size + j];                         \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
            y[n] = product;                                                                        \
        }                                                                                          \
    }

DLC_DET(float, f32)
DLC_DET(double, f64)

#endif
