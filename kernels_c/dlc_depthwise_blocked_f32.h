/* dlc_depthwise_blocked_f32: a tile of a depthwise convolution, one block of 16 channels.
 *
 * acc[line][p][c] = bias[c] + sum over ky, kx of
 *     w[ky][kx][c] * x[ky * row + kx * col + line * down + p * step + c]
 *
 * lines, pixels  of the tile, at least 1, at most 14 positions
 * x              every tap must be there: a padded image has a border of zeros
 *
 * All sizes are literals.
 */
#ifndef DLC_DEPTHWISE_BLOCKED_F32_H
#define DLC_DEPTHWISE_BLOCKED_F32_H

#include "dlc_kernel.h"
#include "dlc_vector.h"
#include <stddef.h>

#define DLC_DEPTHWISE_START(p)                                                                     \
    DLC_VECTOR(a##p);                                                                              \
    if (count > p) {                                                                               \
        DLC_VECTOR_LOAD(a##p, bias);                                                               \
    }
#define DLC_DEPTHWISE_ADD(p)                                                                       \
    if (count > p) {                                                                               \
        DLC_VECTOR_PRODUCT(a##p, at + (p / pixels * down + p % pixels * step), f);                 \
    }
#define DLC_DEPTHWISE_STORE(p)                                                                     \
    if (count > p) {                                                                               \
        DLC_VECTOR_STORE(acc + p * 16, a##p);                                                      \
    }

/* One vector of channels of as many pixels as there are registers. */
DLC_KERNEL void dlc_depthwise_registers_f32(float *acc, ptrdiff_t lines, ptrdiff_t pixels,
                                            const float *x, const float *w, const float *bias,
                                            ptrdiff_t down, ptrdiff_t step, ptrdiff_t KH,
                                            ptrdiff_t row, ptrdiff_t KW, ptrdiff_t col) {
    const ptrdiff_t count = lines * pixels;
    DLC_VECTOR_EACH(DLC_DEPTHWISE_START)
    for (ptrdiff_t ky = 0; ky < KH; ky++) {
        for (ptrdiff_t kx = 0; kx < KW; kx++) {
            const float *at = x + ky * row + kx * col, *f = w + (ky * KW + kx) * 16;
            DLC_VECTOR_EACH(DLC_DEPTHWISE_ADD)
        }
    }
    DLC_VECTOR_EACH(DLC_DEPTHWISE_STORE)
}

DLC_KERNEL void dlc_depthwise_blocked_f32(float *acc, ptrdiff_t lines, ptrdiff_t pixels,
                                          const float *x, const float *w, const float *bias,
                                          ptrdiff_t down, ptrdiff_t step, ptrdiff_t KH,
                                          ptrdiff_t row, ptrdiff_t KW, ptrdiff_t col) {
#if DLC_LANES == 16
    dlc_depthwise_registers_f32(acc, lines, pixels, x, w, bias, down, step, KH, row, KW, col);
#else
    const ptrdiff_t parts = (pixels + DLC_VECTOR_PIXELS - 1) / DLC_VECTOR_PIXELS;
    const ptrdiff_t part = (pixels + parts - 1) / parts, done = (parts - 1) * part;
    for (ptrdiff_t c = 0; c < 16; c += DLC_LANES) {
        for (ptrdiff_t line = 0; line < lines; line++) {
            float *to = acc + line * pixels * 16 + c;
            const float *from = x + line * down + c;
            for (ptrdiff_t p = 0; p < done; p += part) {
                dlc_depthwise_registers_f32(to + p * 16, 1, part, from + p * step, w + c, bias + c,
                                            down, step, KH, row, KW, col);
            }
            dlc_depthwise_registers_f32(to + done * 16, 1, pixels - done, from + done * step, w + c,
                                        bias + c, down, step, KH, row, KW, col);
        }
    }
#endif
}

#endif
