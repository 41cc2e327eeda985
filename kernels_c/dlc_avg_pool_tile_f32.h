/* dlc_avg_pool_tile_f32: cols output columns of average pooling over one channel.
 *
 * acc[c] = sum / count over kd, kh, kw of x[od*SD-PD+kd*DD][oh*SH-PH+kh*DH][(ox0+c)*SW-PW+kw*DW]:
 * the sum over taps inside the D x H x W image; the count of these taps too, or with include_pad of
 * the taps inside the padded image (from -P to the size plus the end pad E). A window without a
 * counted tap gives 0. Sizes at least 0; strides and dilations at least 1; pads of any sign.
 */
#ifndef DLC_AVG_POOL_TILE_F32_H
#define DLC_AVG_POOL_TILE_F32_H

#include "dlc_kernel.h"
#include "dlc_tap.h"
#include <stddef.h>

DLC_KERNEL void dlc_avg_pool_tile_f32(float *acc, ptrdiff_t cols, const float *x, ptrdiff_t od,
                                      ptrdiff_t oh, ptrdiff_t ox0, ptrdiff_t D, ptrdiff_t H,
                                      ptrdiff_t W, ptrdiff_t KD, ptrdiff_t KH, ptrdiff_t KW,
                                      ptrdiff_t SD, ptrdiff_t SH, ptrdiff_t SW, ptrdiff_t PD,
                                      ptrdiff_t PH, ptrdiff_t PW, ptrdiff_t DD, ptrdiff_t DH,
                                      ptrdiff_t DW, ptrdiff_t ED, ptrdiff_t EH, ptrdiff_t EW,
                                      ptrdiff_t include_pad) {
    const ptrdiff_t d0 = od * SD - PD, h0 = oh * SH - PH;
    for (ptrdiff_t c = 0; c < cols; c++) {
        acc[c] = 0.0f;
    }
    for (ptrdiff_t kd = 0; kd < KD; kd++) {
        for (ptrdiff_t kh = 0; kh < KH; kh++) {
            const ptrdiff_t d = d0 + kd * DD, h = h0 + kh * DH;
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
                    to[i] += line[i * SW];
                }
            }
        }
    }
    const ptrdiff_t pd = include_pad ? PD : 0, ph = include_pad ? PH : 0, pw = include_pad ? PW : 0;
    const ptrdiff_t ed = include_pad ? ED : 0, eh = include_pad ? EH : 0, ew = include_pad ? EW : 0;
    const ptrdiff_t lines =
        dlc_taps_inside(d0, KD, DD, -pd, D + ed) * dlc_taps_inside(h0, KH, DH, -ph, H + eh);
    for (ptrdiff_t c = 0; c < cols; c++) {
        const ptrdiff_t w0 = (ox0 + c) * SW - PW;
        const ptrdiff_t count = lines * dlc_taps_inside(w0, KW, DW, -pw, W + ew);
        acc[c] = count > 0 ? acc[c] / (float)count : 0.0f;
    }
}

#endif
