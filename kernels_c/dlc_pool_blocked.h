/* dlc_pool_blocked_max_f32, dlc_pool_blocked_avg_f32, dlc_pool_blocked_add_f32: pixels of a line of
 * a pooled image, one block of 16 channels.
 *
 * acc[p][c] = maximum, mean or sum over ky, kx of x[(oy*SH-PH+ky) * row + ((ox0+p)*SW-PW+kx) * 16 + c]
 * over the taps inside the H x W image; -inf, 0 and 0 where there is none. A mean divides by how
 * many taps are inside the image made larger by PH, PW before and EH, EW behind.
 */
#ifndef DLC_POOL_BLOCKED_H
#define DLC_POOL_BLOCKED_H

#include "dlc_bits.h"
#include "dlc_kernel.h"
#include "dlc_max.h"
#include "dlc_tap.h"
#include <stddef.h>

/* The taps of a window inside an image: rows y0 to y1, columns x0 to x1. */
typedef struct {
    ptrdiff_t y0, y1, x0, x1;
} dlc_pool_window;

static inline dlc_pool_window dlc_pool_clip(ptrdiff_t y, ptrdiff_t x, ptrdiff_t KH, ptrdiff_t KW,
                                            ptrdiff_t top, ptrdiff_t left, ptrdiff_t bottom,
                                            ptrdiff_t right) {
    const ptrdiff_t y0 = dlc_at_least(y, top), x0 = dlc_at_least(x, left);
    const dlc_pool_window w = {y0, dlc_at_least(dlc_at_most(y + KH, bottom), y0), x0,
                               dlc_at_least(dlc_at_most(x + KW, right), x0)};
    return w;
}

#define DLC_POOL_EACH(v) DLC_LANEWISE for (ptrdiff_t v = 0; v < 16; v++)

DLC_KERNEL void dlc_pool_blocked_max_f32(float *acc, ptrdiff_t pixels, const float *x, ptrdiff_t oy,
                                         ptrdiff_t ox0, ptrdiff_t row, ptrdiff_t H, ptrdiff_t W,
                                         ptrdiff_t KH, ptrdiff_t KW, ptrdiff_t SH, ptrdiff_t SW,
                                         ptrdiff_t PH, ptrdiff_t PW) {
    for (ptrdiff_t p = 0; p < pixels; p++) {
        const dlc_pool_window w =
            dlc_pool_clip(oy * SH - PH, (ox0 + p) * SW - PW, KH, KW, 0, 0, H, W);
        float best[16];
        DLC_POOL_EACH(v) {
            best[v] = -DLC_INFINITY_F32;
        }
        for (ptrdiff_t iy = w.y0; iy < w.y1; iy++) {
            for (ptrdiff_t ix = w.x0; ix < w.x1; ix++) {
                const float *from = x + iy * row + ix * 16;
                DLC_POOL_EACH(v) {
                    best[v] = dlc_max_f32(best[v], from[v]);
                }
            }
        }
        DLC_POOL_EACH(v) {
            acc[p * 16 + v] = best[v] + 0.0f; /* a plain copy would keep best in memory */
        }
    }
}

/* The sum of a window's taps times ``scale``. */
DLC_KERNEL void dlc_pool_sum_f32(float *to, const float *x, ptrdiff_t row, dlc_pool_window w,
                                 float scale) {
    float sum[16];
    DLC_POOL_EACH(v) {
        sum[v] = 0.0f;
    }
    for (ptrdiff_t iy = w.y0; iy < w.y1; iy++) {
        for (ptrdiff_t ix = w.x0; ix < w.x1; ix++) {
            const float *from = x + iy * row + ix * 16;
            DLC_POOL_EACH(v) {
                sum[v] += from[v];
            }
        }
    }
    DLC_POOL_EACH(v) {
        to[v] = sum[v] * scale;
    }
}

DLC_KERNEL void dlc_pool_blocked_avg_f32(float *acc, ptrdiff_t pixels, const float *x, ptrdiff_t oy,
                                         ptrdiff_t ox0, ptrdiff_t row, ptrdiff_t H, ptrdiff_t W,
                                         ptrdiff_t KH, ptrdiff_t KW, ptrdiff_t SH, ptrdiff_t SW,
                                         ptrdiff_t PH, ptrdiff_t PW, ptrdiff_t BH, ptrdiff_t BW,
                                         ptrdiff_t EH, ptrdiff_t EW) {
    for (ptrdiff_t p = 0; p < pixels; p++) {
        const ptrdiff_t y = oy * SH - PH, ix = (ox0 + p) * SW - PW;
        const dlc_pool_window w = dlc_pool_clip(y, ix, KH, KW, 0, 0, H, W);
        const dlc_pool_window c = dlc_pool_clip(y, ix, KH, KW, -BH, -BW, H + EH, W + EW);
        const ptrdiff_t count = (c.y1 - c.y0) * (c.x1 - c.x0);
        dlc_pool_sum_f32(acc + p * 16, x, row, w, 1.0f / (float)dlc_at_least(count, 1));
    }
}

DLC_KERNEL void dlc_pool_blocked_add_f32(float *acc, ptrdiff_t pixels, const float *x, ptrdiff_t oy,
                                         ptrdiff_t ox0, ptrdiff_t row, ptrdiff_t H, ptrdiff_t W,
                                         ptrdiff_t KH, ptrdiff_t KW, ptrdiff_t SH, ptrdiff_t SW,
                                         ptrdiff_t PH, ptrdiff_t PW) {
    for (ptrdiff_t p = 0; p < pixels; p++) {
        const dlc_pool_window w =
            dlc_pool_clip(oy * SH - PH, (ox0 + p) * SW - PW, KH, KW, 0, 0, H, W);
        dlc_pool_sum_f32(acc + p * 16, x, row, w, 1.0f);
    }
}

#endif
