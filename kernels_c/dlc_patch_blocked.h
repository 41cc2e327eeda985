/* dlc_patch_blocked_f32: a part of a blocked image with zeros for what lies outside.
 *
 * patch[block][line][p][16] = x[block][y + line][left + p][16], height x width of each block; x has
 * H x W positions. Sizes are at least 0, y and left of any sign.
 */
#ifndef DLC_PATCH_BLOCKED_H
#define DLC_PATCH_BLOCKED_H

#include "dlc_kernel.h"
#include <stddef.h>

static inline void dlc_patch_blocked_f32(float *patch, const float *x, ptrdiff_t blocks,
                                         ptrdiff_t H, ptrdiff_t W, ptrdiff_t y, ptrdiff_t left,
                                         ptrdiff_t height, ptrdiff_t width) {
    for (ptrdiff_t block = 0; block < blocks; block++) {
        for (ptrdiff_t line = y; line < y + height; line++) {
            for (ptrdiff_t p = left; p < left + width; p++, patch += 16) {
                if (line >= 0 && line < H && p >= 0 && p < W) {
                    const float *from = x + ((block * H + line) * W + p) * 16;
                    DLC_LANEWISE
                    for (ptrdiff_t v = 0; v < 16; v++) {
                        patch[v] = from[v];
                    }
                } else {
                    DLC_LANEWISE
                    for (ptrdiff_t v = 0; v < 16; v++) {
                        patch[v] = 0.0f;
                    }
                }
            }
        }
    }
}

#endif
