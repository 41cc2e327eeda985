/* dlc_roi_max_pool_<type>: regions of images pooled to one size, each bin its greatest pixel.
 *
 * y      regions x channels x PH x PW;  x  images x channels x H x W
 * rois   regions x 5: image, left, top, right, bottom, in whole pixels once multiplied by scale and
 *        rounded (halves away from 0), the last inside. Coordinates beyond 2**20 are cut off.
 * A bin that no pixel of the image is in is 0; NaN is never the greatest.
 * Returns 0, or DLC_BAD_INDEX when an image is out of range; then nothing is written.
 */
#ifndef DLC_ROI_MAX_POOL_H
#define DLC_ROI_MAX_POOL_H

#include "dlc_ceil.h"
#include "dlc_floor.h"
#include "dlc_status.h"
#include <stddef.h>

#define DLC_ROI_MAX_POOL(T, name)                                                                  \
    static inline ptrdiff_t dlc_roi_pixel_##name(T at) {                                           \
        const T most = 1 << 20;                                                                    \
        const T rounded = at < 0 ? -dlc_floor_##name((T)0.5 - at) : dlc_floor_##name(at + (T)0.5); \
        return rounded > most ? (1 << 20) : rounded > -most ? (ptrdiff_t)rounded : -(1 << 20);     \
    }                                                                                              \
    static inline ptrdiff_t dlc_roi_clip_##name(T at, ptrdiff_t size) {                            \
        return at > 0 ? at < (T)size ? (ptrdiff_t)at : size : 0;                                   \
    }                                                                                              \
    static inline int dlc_roi_max_pool_##name(T *y, const T *x, const T *rois, ptrdiff_t regions,  \
                                              ptrdiff_t images, ptrdiff_t channels, ptrdiff_t H,   \
                                              ptrdiff_t W, ptrdiff_t PH, ptrdiff_t PW, T scale) {  \
        for (ptrdiff_t r = 0; r < regions; r++) {                                                  \
            if (!(rois[5 * r] >= 0 && rois[5 * r] < (T)images)) {                                  \
                return DLC_BAD_INDEX;                                                              \
            }                                                                                      \
        }                                                                                          \
        for (ptrdiff_t r = 0; r < regions; r++, rois += 5) {                                       \
            const ptrdiff_t left = dlc_roi_pixel_##name(rois[1] * scale);                          \
            const ptrdiff_t top = dlc_roi_pixel_##name(rois[2] * scale);                           \
            const ptrdiff_t wide = dlc_roi_pixel_##name(rois[3] * scale) - left + 1;               \
            const ptrdiff_t high = dlc_roi_pixel_##name(rois[4] * scale) - top + 1;                \
            const T bin_h = (T)(high > 1 ? high : 1) / (T)PH;                                      \
            const T bin_w = (T)(wide > 1 ? wide : 1) / (T)PW;                                      \
            const T *from = x + (ptrdiff_t)rois[0] * channels * H * W;                             \
            for (ptrdiff_t c = 0; c < channels; c++, from += H * W) {                              \
                for (ptrdiff_t p = 0; p < PH * PW; p++, y++) {                                     \
                    const T row = (T)(p / PW), col = (T)(p % PW);                                  \
                    const T h0 = dlc_floor_##name(row * bin_h) + (T)top;                           \
                    const T h1 = dlc_ceil_##name((row + 1) * bin_h) + (T)top;                      \
                    const T w0 = dlc_floor_##name(col * bin_w) + (T)left;                          \
                    const T w1 = dlc_ceil_##name((col + 1) * bin_w) + (T)left;                     \
                    const ptrdiff_t i0 = dlc_roi_clip_##name(h0, H);                               \
                    const ptrdiff_t i1 = dlc_roi_clip_##name(h1, H);                               \
                    const ptrdiff_t j0 = dlc_roi_clip_##name(w0, W);                               \
                    const ptrdiff_t j1 = dlc_roi_clip_##name(w1, W);                               \
                    T best = i0 < i1 && j0 < j1 ? from[i0 * W + j0] : 0;                           \
                    for (ptrdiff_t i = i0; i < i1; i++) {                                          \
                        for (ptrdiff_t j = j0; j < j1; j++) {                                      \
                            const T v = from[i * W + j];                                           \
                            best = v > best || best != best ? v : best;                            \
                        }                                                                          \
                    }                                                                              \
                    *y = best;                                                                     \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }

DLC_ROI_MAX_POOL(float, f32)
DLC_ROI_MAX_POOL(double, f64)

#endif
