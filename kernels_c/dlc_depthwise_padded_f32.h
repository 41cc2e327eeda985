/* dlc_depthwise_padded_f32: as dlc_depthwise_blocked_f32, of an image [H][W][16] that is 0 outside.
 *
 * acc[line][p][c] = bias[c] + sum over ky, kx of
 *     w[ky][kx][c] * image[y + line * SH + ky * DH][left + p * SW + kx * DW][c]
 *
 * patch  room for 16 floats for each of
 *        ((lines - 1) * SH + (KH - 1) * DH + 1) * ((pixels - 1) * SW + (KW - 1) * DW + 1)
 *
 * Method: a tile at the border reads a copy of its part of the image with the zeros put in.
 */
#ifndef DLC_DEPTHWISE_PADDED_F32_H
#define DLC_DEPTHWISE_PADDED_F32_H

#include "dlc_depthwise_blocked_f32.h"
#include "dlc_kernel.h"
#include "dlc_patch_blocked.h"
#include <stddef.h>

DLC_KERNEL void dlc_depthwise_padded_f32(float *acc, ptrdiff_t lines, ptrdiff_t pixels,
                                         const float *image, const float *w, const float *bias,
                                         float *patch, ptrdiff_t y, ptrdiff_t left, ptrdiff_t H,
                                         ptrdiff_t W, ptrdiff_t KH, ptrdiff_t KW, ptrdiff_t SH,
                                         ptrdiff_t SW, ptrdiff_t DH, ptrdiff_t DW) {
    const ptrdiff_t height = (lines - 1) * SH + (KH - 1) * DH + 1;
    const ptrdiff_t width = (pixels - 1) * SW + (KW - 1) * DW + 1;
    const int inside = y >= 0 && left >= 0 && y + height <= H && left + width <= W;
    const ptrdiff_t line = 16 * (inside ? W : width);
    if (!inside) {
        dlc_patch_blocked_f32(patch, image, 1, H, W, y, left, height, width);
    }
    dlc_depthwise_blocked_f32(acc, lines, pixels, inside ? image + (y * W + left) * 16 : patch, w,
                              bias, SH * line, SW * 16, KH, DH * line, KW, DW * 16);
}

#endif
