/* dlc_conv_blocked_f32: a tile of a convolution whose channels come in blocks of 16.
 *
 * acc[f / 16][line][p][f % 16] = bias[f] + sum over ky, kx, c of w[...][f]
 *     * x[c / 16 * block_step + c % 16 * channel_step + ky * row + kx * col
 *         + line * down + p * step]
 *
 * lines, pixels  of the tile, at least 1
 * filters        of the tile, 16 or 32; lines * pixels is at most 14
 * w              in the order they are read: [c / 16][ky][kx][c % 16][filters]
 * x              every tap must be there: a padded image has a border of zeros
 *
 * Method: the sums of up to 14 pixels x 2 vectors of filters (6 x 2 where there are 16 registers)
 * stay in registers; a vector of weights meets the inputs of all pixels. All sizes are literals, so
 * that what depends on them is decided when compiling.
 */
#ifndef DLC_CONV_BLOCKED_F32_H
#define DLC_CONV_BLOCKED_F32_H

#include "dlc_kernel.h"
#include "dlc_vector.h"
#include <stddef.h>

typedef struct {
    ptrdiff_t channels, block_step, channel_step, KH, row, KW, col, step;
} dlc_conv_taps;

#define DLC_CONV_START(p)                                                                          \
    DLC_VECTOR(a##p);                                                                              \
    DLC_VECTOR(b##p);                                                                              \
    if (count > p) {                                                                               \
        DLC_VECTOR_LOAD(a##p, bias);                                                               \
        if (vectors > 1) {                                                                         \
            DLC_VECTOR_LOAD(b##p, bias + DLC_LANES);                                               \
        }                                                                                          \
    }
#define DLC_CONV_ADD(p)                                                                            \
    if (count > p) {                                                                               \
        const float s = at[p / pixels * down + p % pixels * t.step];                               \
        DLC_VECTOR_SCALED(a##p, s, f);                                                             \
        if (vectors > 1) {                                                                         \
            DLC_VECTOR_SCALED(b##p, s, f + DLC_LANES);                                             \
        }                                                                                          \
    }
#define DLC_CONV_STORE(p)                                                                          \
    if (count > p) {                                                                               \
        DLC_VECTOR_STORE(acc + p * 16, a##p);                                                      \
        if (vectors > 1) {                                                                         \
            DLC_VECTOR_STORE(acc + p * 16 + second, b##p);                                         \
        }                                                                                          \
    }

/* One or two vectors of filters; those of the second lie ``second`` behind those of the first. */
DLC_KERNEL void dlc_conv_registers_f32(float *acc, ptrdiff_t second, ptrdiff_t vectors,
                                       ptrdiff_t lines, ptrdiff_t pixels, ptrdiff_t down,
                                       ptrdiff_t filters, const float *x, const float *w,
                                       const float *bias, dlc_conv_taps t) {
    const ptrdiff_t count = lines * pixels;
    /* gcc would keep the bias in registers from tile to tile, and the weights on the stack */
    const float *volatile unknown = bias;
    const float *f = w;
    bias = unknown;
    DLC_VECTOR_EACH(DLC_CONV_START)
    for (ptrdiff_t first = 0; first < t.channels; first += 16) {
        const ptrdiff_t channels = t.channels - first < 16 ? t.channels - first : 16;
        for (ptrdiff_t ky = 0; ky < t.KH; ky++) {
            for (ptrdiff_t kx = 0; kx < t.KW; kx++) {
                const float *at = x + first / 16 * t.block_step + ky * t.row + kx * t.col;
                for (ptrdiff_t c = 0; c < channels; c++) {
                    DLC_VECTOR_EACH(DLC_CONV_ADD)
                    at += t.channel_step;
                    f += filters;
                }
            }
        }
    }
    DLC_VECTOR_EACH(DLC_CONV_STORE)
}

DLC_KERNEL void dlc_conv_blocked_f32(float *acc, ptrdiff_t lines, ptrdiff_t pixels,
                                     ptrdiff_t filters, const float *x, const float *w,
                                     const float *bias, ptrdiff_t down, ptrdiff_t step,
                                     ptrdiff_t channels, ptrdiff_t block_step,
                                     ptrdiff_t channel_step, ptrdiff_t KH, ptrdiff_t row,
                                     ptrdiff_t KW, ptrdiff_t col) {
    const dlc_conv_taps t = {channels, block_step, channel_step, KH, row, KW, col, step};
    const ptrdiff_t plane = lines * pixels * 16;
#if DLC_LANES == 16 /* a tile has at most as many sums as fit into the registers */
    dlc_conv_registers_f32(acc, plane, filters / 16, lines, pixels, down, filters, x, w, bias, t);
#else
    const ptrdiff_t parts = (pixels + DLC_VECTOR_PIXELS - 1) / DLC_VECTOR_PIXELS;
    const ptrdiff_t part = (pixels + parts - 1) / parts, done = (parts - 1) * part;
    for (ptrdiff_t f = 0; f < filters; f += 2 * DLC_LANES) {
        for (ptrdiff_t line = 0; line < lines; line++) {
            float *to = acc + f / 16 * plane + f % 16 + line * pixels * 16;
            const float *from = x + line * down;
            for (ptrdiff_t p = 0; p < done; p += part) {
                dlc_conv_registers_f32(to + p * 16, DLC_LANES, 2, 1, part, down, filters,
                                       from + p * step, w + f, bias + f, t);
            }
            dlc_conv_registers_f32(to + done * 16, DLC_LANES, 2, 1, pixels - done, down, filters,
                                   from + done * step, w + f, bias + f, t);
        }
    }
#endif
}

#endif
