/* dlc_max_pool_tile_f32: cols output columns of max pooling over one channel.
 *
 * acc[c] = max over kd, kh, kw of x[od*SD-PD+kd*DD][oh*SH-PH+kh*DH][(ox0+c)*SW-PW+kw*DW], over the
 * taps inside the D x H x W image. NaN in a window gives NaN; a window without any tap inside gives
 * -infinity: padding never wins. Sizes at least 0; strides and dilations at least 1; pads of any
 * sign.
 */
#ifndef DLC_MAX_POOL_TILE_F32_H
#define DLC_MAX_POOL_TILE_F32_H

#include "dlc_bits.h"
#include "dlc_kernel.h"
#include "dlc_max.h"
#include "dlc_tap.h"
#include <stddef.h>

DLC_KERNEL void dlc_max_pool_tile_f32(float *acc, ptrdiff_t cols, const float *x, ptrdiff_t od,
                                      ptrdiff_t oh, ptrdiff_t ox0, ptrdiff_t D, ptrdiff_t H,
                                      ptrdiff_t W, ptrdiff_t KD, ptrdiff_t KH, ptrdiff_t KW,
                                      ptrdiff_t SD, ptrdiff_t SH, ptrdiff_t SW, ptrdiff_t PD,
                                      ptrdiff_t PH, ptrdiff_t PW, ptrdiff_t DD, ptrdiff_t DH,
                                      ptrdiff_t DW) {
    for (ptrdiff_t c = 0; c < cols; c++) {
        acc[c] = -DLC_INFINITY_F32;
    }
    for (ptrdiff_t kd = 0; kd < KD; kd++) {
        for (ptrdiff_t kh = 0; kh < KH; kh++) {
            const ptrdiff_t d = od * SD - PD + kd * DD, h = oh * SH - PH + kh * DH;
            if (d < 0 || d >= D || h < 0 || h >= H) {
                continue;
            }
            for (ptrdiff_t kw = 0; kw < KW; kw++) {
                const ptrdiff_t off = kw * DW - PW;
                const ptrdiff_t first = dlc_at_least(dlc_tap_first(off, SW), ox0);
                const ptrdiff_t end = dlc_at_most(dlc_tap_end(off, W, SW), ox0 + cols);
                if (first >= end) {
                    continue;
                }
                const float *line = x + (d * H + h) * W + first * SW + off;
                float *to = acc + (first - ox0);
                DLC_ROLLED
                for (ptrdiff_t i = 0; i < end - first; i++) {
                    to[i] = dlc_max_f32(to[i], line[i * SW]);
                }
            }
        }
    }
}

#endif
