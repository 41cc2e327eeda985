/* dlc_conv_tile_f32: a tile of a convolution, rows output channels x cols output columns.
 *
 * acc[r][c] = sum over channel, kd, kh, kw of
 *     w[r][channel][kd][kh][kw] * x[channel][od*SD-PD+kd*DD][oh*SH-PH+kh*DH][(ox0+c)*SW-PW+kw*DW]
 * over the taps inside the D x H x W image: padding counts nothing, whatever the weight. Writes
 * every element of acc[rows][cols].
 *
 * x      first channel of the group: channels x D x H x W floats
 * w      filter of the first row: rows x channels x KD x KH x KW floats, consecutive
 * sizes  at least 0; strides S and dilations D at least 1; pads of any sign
 *
 * Method: columns whose taps are all inside the image are computed in blocks of 4 rows x 2 vectors
 * that stay in registers over all channels and taps; the columns at the borders tap by tap, each
 * over its valid range of columns. No test depends on a pixel.
 */
#ifndef DLC_CONV_TILE_F32_H
#define DLC_CONV_TILE_F32_H

#include "dlc_fma.h"
#include "dlc_kernel.h"
#include "dlc_lanes.h"
#include "dlc_tap.h"
#include <stddef.h>

/* The image and the window on it, and the place (d, h) of the window's first tap. */
typedef struct {
    ptrdiff_t channels, D, H, W, KD, KH, KW, DD, DH, DW, SW, PW, d, h;
} dlc_conv_window;

/* Columns c0..c1 of any number of rows, tap by tap, with acc in memory. */
static inline void dlc_conv_columns_f32(float *acc, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t c0,
                                        ptrdiff_t c1, const float *x, const float *w, ptrdiff_t ox0,
                                        const dlc_conv_window *g) {
    const ptrdiff_t taps = g->KD * g->KH * g->KW, row = g->channels * taps;
    for (ptrdiff_t r = 0; r < rows; r++) {
        DLC_ROLLED
        for (ptrdiff_t c = c0; c < c1; c++) {
            acc[r * cols + c] = 0.0f;
        }
    }
    for (ptrdiff_t tap = 0; tap < taps && c0 < c1; tap++) {
        const ptrdiff_t d = g->d + tap / (g->KH * g->KW) * g->DD;
        const ptrdiff_t h = g->h + tap / g->KW % g->KH * g->DH;
        const ptrdiff_t off = tap % g->KW * g->DW - g->PW;
        const ptrdiff_t first = dlc_at_least(dlc_tap_first(off, g->SW) - ox0, c0);
        const ptrdiff_t end = dlc_at_most(dlc_tap_end(off, g->W, g->SW) - ox0, c1);
        if (d < 0 || d >= g->D || h < 0 || h >= g->H || first >= end) {
            continue;
        }
        const float *line = x + (d * g->H + h) * g->W + (ox0 + first) * g->SW + off;
        for (ptrdiff_t channel = 0; channel < g->channels; channel++) {
            const float *f = w + channel * taps + tap;
            ptrdiff_t r = 0;
            for (; r + 4 <= rows; r += 4) {
                const float f0 = f[r * row], f1 = f[(r + 1) * row];
                const float f2 = f[(r + 2) * row], f3 = f[(r + 3) * row];
                float *t0 = acc + r * cols + first, *t1 = t0 + cols, *t2 = t1 + cols,
                      *t3 = t2 + cols;
                DLC_ROLLED
                for (ptrdiff_t c = 0; c < end - first; c++) {
                    const float s = line[c * g->SW];
                    t0[c] = dlc_fma_f32(f0, s, t0[c]);
                    t1[c] = dlc_fma_f32(f1, s, t1[c]);
                    t2[c] = dlc_fma_f32(f2, s, t2[c]);
                    t3[c] = dlc_fma_f32(f3, s, t3[c]);
                }
            }
            for (; r < rows; r++) {
                float *to = acc + r * cols + first;
                DLC_ROLLED
                for (ptrdiff_t c = 0; c < end - first; c++) {
                    to[c] = dlc_fma_f32(f[r * row], line[c * g->SW], to[c]);
                }
            }
            line += g->D * g->H * g->W;
        }
    }
}

/* 4 rows x 2 vectors of columns from c, all of whose taps are inside the lines they read. */
static inline void dlc_conv_block4_f32(float *acc, ptrdiff_t cols, const float *x, const float *w,
                                       ptrdiff_t start, const dlc_conv_window *g) {
    const ptrdiff_t row = g->channels * g->KD * g->KH * g->KW;
    float a0[DLC_LANES], a1[DLC_LANES], a2[DLC_LANES], a3[DLC_LANES];
    float b0[DLC_LANES], b1[DLC_LANES], b2[DLC_LANES], b3[DLC_LANES];
    DLC_EACH_LANE(v) {
        a0[v] = a1[v] = a2[v] = a3[v] = b0[v] = b1[v] = b2[v] = b3[v] = 0.0f;
    }
    for (ptrdiff_t channel = 0; channel < g->channels; channel++) {
        for (ptrdiff_t kd = 0; kd < g->KD; kd++) {
            const ptrdiff_t d = g->d + kd * g->DD;
            for (ptrdiff_t kh = 0; kh < g->KH; kh++) {
                const ptrdiff_t h = g->h + kh * g->DH;
                if (d < 0 || d >= g->D || h < 0 || h >= g->H) {
                    continue;
                }
                const float *p = x + ((channel * g->D + d) * g->H + h) * g->W + start;
                const float *f = w + ((channel * g->KD + kd) * g->KH + kh) * g->KW;
                for (ptrdiff_t kw = 0; kw < g->KW; kw++, p += g->DW, f++) {
                    const float f0 = f[0], f1 = f[row], f2 = f[2 * row], f3 = f[3 * row];
                    DLC_EACH_LANE(v) {
                        const float s = p[v * g->SW];
                        a0[v] = dlc_fma_f32(f0, s, a0[v]);
                        a1[v] = dlc_fma_f32(f1, s, a1[v]);
                        a2[v] = dlc_fma_f32(f2, s, a2[v]);
                        a3[v] = dlc_fma_f32(f3, s, a3[v]);
                    }
                    DLC_EACH_LANE(v) {
                        const float s = p[(DLC_LANES + v) * g->SW];
                        b0[v] = dlc_fma_f32(f0, s, b0[v]);
                        b1[v] = dlc_fma_f32(f1, s, b1[v]);
                        b2[v] = dlc_fma_f32(f2, s, b2[v]);
                        b3[v] = dlc_fma_f32(f3, s, b3[v]);
                    }
                }
            }
        }
    }
    float *to = acc, *to1 = acc + cols, *to2 = acc + 2 * cols, *to3 = acc + 3 * cols;
    DLC_EACH_LANE(v) { /* + 0: a plain copy would make gcc keep the arrays in memory */
        to[v] = a0[v] + 0.0f;
        to1[v] = a1[v] + 0.0f;
        to2[v] = a2[v] + 0.0f;
        to3[v] = a3[v] + 0.0f;
    }
    DLC_EACH_LANE(v) {
        to[DLC_LANES + v] = b0[v] + 0.0f;
        to1[DLC_LANES + v] = b1[v] + 0.0f;
        to2[DLC_LANES + v] = b2[v] + 0.0f;
        to3[DLC_LANES + v] = b3[v] + 0.0f;
    }
}

DLC_KERNEL void dlc_conv_tile_f32(float *acc, ptrdiff_t rows, ptrdiff_t cols, const float *x,
                                  const float *w, ptrdiff_t od, ptrdiff_t oh, ptrdiff_t ox0,
                                  ptrdiff_t channels, ptrdiff_t D, ptrdiff_t H, ptrdiff_t W,
                                  ptrdiff_t KD, ptrdiff_t KH, ptrdiff_t KW, ptrdiff_t SD,
                                  ptrdiff_t SH, ptrdiff_t SW, ptrdiff_t PD, ptrdiff_t PH,
                                  ptrdiff_t PW, ptrdiff_t DD, ptrdiff_t DH, ptrdiff_t DW) {
    const dlc_conv_window g = {channels, D,  H,  W,  KD, KH,           KW,
                               DD,       DH, DW, SW, PW, od * SD - PD, oh * SH - PH};
    const ptrdiff_t block = 2 * DLC_LANES, row = channels * KD * KH * KW;
    const ptrdiff_t inner0 = dlc_at_least(dlc_tap_first(-PW, SW) - ox0, 0);
    const ptrdiff_t inner1 = dlc_at_most(dlc_tap_end((KW - 1) * DW - PW, W, SW) - ox0, cols);
    ptrdiff_t r = 0;
    for (; r + 4 <= rows && inner1 - inner0 >= block; r += 4) {
        float *to = acc + r * cols;
        const float *filter = w + r * row;
        dlc_conv_columns_f32(to, 4, cols, 0, inner0, x, filter, ox0, &g);
        dlc_conv_columns_f32(to, 4, cols, inner1, cols, x, filter, ox0, &g);
        for (ptrdiff_t c = inner0; c < inner1; c += block) {
            /* the last block starts early enough to be whole, and computes some columns again */
            const ptrdiff_t at = dlc_at_most(c, inner1 - block);
            dlc_conv_block4_f32(to + at, cols, x, filter, (ox0 + at) * SW - PW, &g);
        }
    }
    dlc_conv_columns_f32(acc + r * cols, rows - r, cols, 0, cols, x, w + r * row, ox0, &g);
}

#endif
