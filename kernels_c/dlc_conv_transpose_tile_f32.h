/* dlc_conv_transpose_tile_f32: a tile of a transposed convolution, rows output channels x cols
 * output columns.
 *
 * acc[r][c] = sum over channel, kd, kh, kw, and input places (d, h, i) with
 *     d*SD-PD+kd*DD == od, h*SH-PH+kh*DH == oh, i*SW-PW+kw*DW == ox0+c, of
 *     w[channel][r][kd][kh][kw] * x[channel][d][h][i]
 * Writes every element of acc[rows][cols].
 *
 * x      first channel of the group: channels x D x H x W floats
 * w      filter of the first row for the first channel; filters of consecutive rows are KD*KH*KW
 *        apart, those of consecutive channels w_channel apart
 * sizes  at least 0; strides S and dilations D at least 1; pads of any sign
 *
 * Method: tap by tap; for each tap the input columns that land in the tile are one range.
 */
#ifndef DLC_CONV_TRANSPOSE_TILE_F32_H
#define DLC_CONV_TRANSPOSE_TILE_F32_H

#include "dlc_fma.h"
#include "dlc_kernel.h"
#include "dlc_tap.h"
#include <stddef.h>

/* rows filters, each over one line of input columns: acc[r][c0 + i*step] += f[r*apart] * line[i] */
static inline void dlc_scatter_line_f32(float *acc, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t step,
                                        const float *line, ptrdiff_t count, const float *f,
                                        ptrdiff_t apart) {
    ptrdiff_t r = 0;
    for (; r + 4 <= rows; r += 4, f += 4 * apart) {
        const float f0 = f[0], f1 = f[apart], f2 = f[2 * apart], f3 = f[3 * apart];
        float *t0 = acc + r * cols, *t1 = t0 + cols, *t2 = t1 + cols, *t3 = t2 + cols;
        DLC_ROLLED
        for (ptrdiff_t i = 0; i < count; i++) {
            const float s = line[i];
            t0[i * step] = dlc_fma_f32(f0, s, t0[i * step]);
            t1[i * step] = dlc_fma_f32(f1, s, t1[i * step]);
            t2[i * step] = dlc_fma_f32(f2, s, t2[i * step]);
            t3[i * step] = dlc_fma_f32(f3, s, t3[i * step]);
        }
    }
    for (; r < rows; r++, f += apart) {
        float *to = acc + r * cols;
        DLC_ROLLED
        for (ptrdiff_t i = 0; i < count; i++) {
            to[i * step] = dlc_fma_f32(f[0], line[i], to[i * step]);
        }
    }
}

DLC_KERNEL void dlc_conv_transpose_tile_f32(
    float *acc, ptrdiff_t rows, ptrdiff_t cols, const float *x, const float *w, ptrdiff_t od,
    ptrdiff_t oh, ptrdiff_t ox0, ptrdiff_t channels, ptrdiff_t w_channel, ptrdiff_t D, ptrdiff_t H,
    ptrdiff_t W, ptrdiff_t KD, ptrdiff_t KH, ptrdiff_t KW, ptrdiff_t SD, ptrdiff_t SH, ptrdiff_t SW,
    ptrdiff_t PD, ptrdiff_t PH, ptrdiff_t PW, ptrdiff_t DD, ptrdiff_t DH, ptrdiff_t DW) {
    for (ptrdiff_t i = 0; i < rows * cols; i++) {
        acc[i] = 0.0f;
    }
    for (ptrdiff_t kd = 0; kd < KD; kd++) {
        const ptrdiff_t d = od + PD - kd * DD;
        if (d < 0 || d % SD != 0 || d / SD >= D) {
            continue;
        }
        for (ptrdiff_t kh = 0; kh < KH; kh++) {
            const ptrdiff_t h = oh + PH - kh * DH;
            if (h < 0 || h % SH != 0 || h / SH >= H) {
                continue;
            }
            for (ptrdiff_t kw = 0; kw < KW; kw++) {
                /* input column i lands in tile column i*SW + shift */
                const ptrdiff_t shift = kw * DW - PW - ox0;
                const ptrdiff_t first = dlc_tap_first(shift, SW);
                const ptrdiff_t end = dlc_at_most(dlc_tap_end(shift, cols, SW), W);
                if (first >= end) {
                    continue;
                }
                const float *line = x + ((d / SD) * H + h / SH) * W + first;
                const float *f = w + (kd * KH + kh) * KW + kw;
                float *to = acc + first * SW + shift;
                for (ptrdiff_t channel = 0; channel < channels; channel++) {
                    dlc_scatter_line_f32(to, rows, cols, SW, line, end - first, f, KD * KH * KW);
                    line += D * H * W;
                    f += w_channel;
                }
            }
        }
    }
}

#endif
