/* squash_f32: y[i][:] = x[i][:] * n / (1 + n*n), n the Euclidean norm of the row x[i][:]. */
#include <stddef.h>

#include "dlc_sqrt.h"

static inline void squash_f32(float *y, const float *x, ptrdiff_t rows, ptrdiff_t length) {
    for (ptrdiff_t i = 0; i < rows; i++, x += length, y += length) {
        float sum = 0.0f;
        for (ptrdiff_t j = 0; j < length; j++)
            sum += x[j] * x[j];
        for (ptrdiff_t j = 0; j < length; j++)
            y[j] = x[j] * (dlc_sqrt_f32(sum) / (1.0f + sum));
    }
}
