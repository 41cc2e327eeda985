/* dlc_conv_padded_f32: as dlc_conv_blocked_f32, of a blocked image [channels / 16][H][W][16] that is
 * 0 outside.
 *
 * acc[f / 16][line][p][f % 16] = bias[f] + sum over c, ky, kx of w[...][f]
 *     * image[c][y + line * SH + ky * DH][left + p * SW + kx * DW]
 *
 * patch  room for the part of the image that a tile reads: 16 floats for each block of channels, for
 *        each of ((lines - 1) * SH + (KH - 1) * DH + 1) * ((pixels - 1) * SW + (KW - 1) * DW + 1)
 *
 * Method: a tile at the border reads a copy of its part of the image with the zeros put in.
 */
#ifndef DLC_CONV_PADDED_F32_H
#define DLC_CONV_PADDED_F32_H

#include "dlc_conv_blocked_f32.h"
#include "dlc_kernel.h"
#include "dlc_patch_blocked.h"
#include <stddef.h>

DLC_KERNEL void dlc_conv_padded_f32(float *acc, ptrdiff_t lines, ptrdiff_t pixels,
                                    ptrdiff_t filters, const float *image, const float *w,
                                    const float *bias, float *patch, ptrdiff_t y, ptrdiff_t left,
                                    ptrdiff_t channels, ptrdiff_t H, ptrdiff_t W, ptrdiff_t KH,
                                    ptrdiff_t KW, ptrdiff_t SH, ptrdiff_t SW, ptrdiff_t DH,
                                    ptrdiff_t DW) {
    const ptrdiff_t height = (lines - 1) * SH + (KH - 1) * DH + 1;
    const ptrdiff_t width = (pixels - 1) * SW + (KW - 1) * DW + 1;
    const int inside = y >= 0 && left >= 0 && y + height <= H && left + width <= W;
    const ptrdiff_t line = 16 * (inside ? W : width), block = line * (inside ? H : height);
    if (!inside) {
        dlc_patch_blocked_f32(patch, image, (channels + 15) / 16, H, W, y, left, height, width);
    }
    dlc_conv_blocked_f32(acc, lines, pixels, filters, inside ? image + (y * W + left) * 16 : patch,
                         w, bias, SH * line, SW * 16, channels, block, 1, KH, DH * line, KW,
                         DW * 16);
}

#endif
