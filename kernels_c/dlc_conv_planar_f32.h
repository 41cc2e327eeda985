/* dlc_conv_planar_f32: as dlc_conv_blocked_f32, of a planar image [channels][H][W] with padding.
 *
 * acc[f / 16][line][p][f % 16] = bias[f] + sum over c, ky, kx of w[...][f]
 *     * image[c][y + line * SH + ky * DH][left + p * SW + kx * DW], 0 outside the image
 *
 * patch  room for channels * ((lines - 1) * SH + (KH - 1) * DH + 1)
 *        * ((pixels - 1) * SW + (KW - 1) * DW + 1) floats
 *
 * Method: a tile at the border reads a copy of its part of the image with the zeros put in.
 */
#ifndef DLC_CONV_PLANAR_F32_H
#define DLC_CONV_PLANAR_F32_H

#include "dlc_conv_blocked_f32.h"
#include "dlc_kernel.h"
#include "dlc_tap.h"
#include <stddef.h>

/* The part of an image from (y, left) on, height x width, with zeros for what is outside. */
static inline void dlc_conv_patch_f32(float *patch, const float *image, ptrdiff_t channels,
                                      ptrdiff_t H, ptrdiff_t W, ptrdiff_t y, ptrdiff_t left,
                                      ptrdiff_t height, ptrdiff_t width) {
    const ptrdiff_t first = dlc_at_most(dlc_at_least(-left, 0), width);
    const ptrdiff_t end = dlc_at_least(dlc_at_most(W - left, width), first);
    for (ptrdiff_t c = 0; c < channels; c++) {
        for (ptrdiff_t line = 0; line < height; line++, patch += width) {
            if (y + line < 0 || y + line >= H) {
                DLC_ROLLED
                for (ptrdiff_t i = 0; i < width; i++) {
                    patch[i] = 0.0f;
                }
                continue;
            }
            const float *from = image + (c * H + y + line) * W + (left + first);
            DLC_ROLLED
            for (ptrdiff_t i = 0; i < first; i++) {
                patch[i] = 0.0f;
            }
            DLC_ROLLED
            for (ptrdiff_t i = first; i < end; i++) {
                patch[i] = from[i - first];
            }
            DLC_ROLLED
            for (ptrdiff_t i = end; i < width; i++) {
                patch[i] = 0.0f;
            }
        }
    }
}

DLC_KERNEL void dlc_conv_planar_f32(float *acc, ptrdiff_t lines, ptrdiff_t pixels,
                                    ptrdiff_t filters, const float *image, const float *w,
                                    const float *bias, float *patch, ptrdiff_t y, ptrdiff_t left,
                                    ptrdiff_t channels, ptrdiff_t H, ptrdiff_t W, ptrdiff_t KH,
                                    ptrdiff_t KW, ptrdiff_t SH, ptrdiff_t SW, ptrdiff_t DH,
                                    ptrdiff_t DW) {
    const ptrdiff_t height = (lines - 1) * SH + (KH - 1) * DH + 1;
    const ptrdiff_t width = (pixels - 1) * SW + (KW - 1) * DW + 1;
    const int inside = y >= 0 && left >= 0 && y + height <= H && left + width <= W;
    const ptrdiff_t line = inside ? W : width, plane = inside ? H * W : height * width;
    if (!inside) {
        dlc_conv_patch_f32(patch, image, channels, H, W, y, left, height, width);
    }
    dlc_conv_blocked_f32(acc, lines, pixels, filters, inside ? image + y * W + left : patch, w,
                         bias, SH * line, SW, channels, 16 * plane, plane, KH, DH * line, KW, DW);
}

#endif
