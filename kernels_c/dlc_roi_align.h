/* dlc_roi_align_<type>: regions of images pooled to one size, sampled between pixels (RoiAlign).
 *
 * y      regions x channels x PH x PW;  x  images x channels x H x W;  H, W > 0
 * rois   regions x 4: left, top, right, bottom, in pixels once multiplied by scale
 * image  which image each region is of, 0 <= image < images
 * Every bin is the mean (largest 0) of bilinear samples, or the greatest of their four weighted
 * pixels (largest 1): ratio x ratio of them, or as many as its size in pixels, rounded up, at most
 * 4096 a side, where ratio is 0. offset is what is taken from coordinates; with 0, a region is at
 * least 1 x 1. Samples more than a pixel outside the image, or NaN, are 0.
 * Returns 0, or DLC_BAD_INDEX when an image is out of range; then nothing is written.
 */
#ifndef DLC_ROI_ALIGN_H
#define DLC_ROI_ALIGN_H

#include "dlc_ceil.h"
#include "dlc_status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DLC_ROI_ALIGN(T, name)                                                                     \
    /* how many samples a bin of this size has along an axis */                                    \
    static inline ptrdiff_t dlc_roi_grid_##name(T size, ptrdiff_t ratio) {                         \
        const T wanted = dlc_ceil_##name(size);                                                    \
        return ratio > 0 ? ratio : wanted > 4096 ? 4096 : wanted > 0 ? (ptrdiff_t)wanted : 0;      \
    }                                                                                              \
    /* the pixel at or before a place, the next, and how far the place is between them */          \
    static inline bool dlc_roi_tap_##name(T at, ptrdiff_t size, ptrdiff_t *low, ptrdiff_t *high,   \
                                          T *part) {                                               \
        if (!(at >= -1 && at <= (T)size)) {                                                        \
            return false;                                                                          \
        }                                                                                          \
        at = at > 0 ? at : 0;                                                                      \
        *low = (ptrdiff_t)at < size - 1 ? (ptrdiff_t)at : size - 1;                                \
        *high = *low < size - 1 ? *low + 1 : *low;                                                 \
        *part = *low < size - 1 ? at - (T)(*low) : 0;                                              \
        return true;                                                                               \
    }                                                                                              \
    static inline T dlc_roi_bin_##name(const T *x, ptrdiff_t H, ptrdiff_t W, T top, T left,        \
                                       T high, T wide, ptrdiff_t rows, ptrdiff_t cols,             \
                                       ptrdiff_t largest) {                                        \
        T total = 0;                                                                               \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                     \
            for (ptrdiff_t j = 0; j < cols; j++) {                                                 \
                ptrdiff_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;                                          \
                T v = 0, u = 0, a = 0, b = 0, c = 0, d = 0;                                        \
                const T at_y = top + ((T)i + (T)0.5) * high / (T)rows;                             \
                const T at_x = left + ((T)j + (T)0.5) * wide / (T)cols;                            \
                if (dlc_roi_tap_##name(at_y, H, &y0, &y1, &v) &&                                   \
                    dlc_roi_tap_##name(at_x, W, &x0, &x1, &u)) {                                   \
                    a = (1 - v) * (1 - u) * x[y0 * W + x0];                                        \
                    b = (1 - v) * u * x[y0 * W + x1];                                              \
                    c = v * (1 - u) * x[y1 * W + x0];                                              \
                    d = v * u * x[y1 * W + x1];                                                    \
                }                                                                                  \
                if (largest) {                                                                     \
                    a = a > b ? a : b;                                                             \
                    c = c > d ? c : d;                                                             \
                    a = a > c ? a : c;                                                             \
                    total = i + j == 0 || a > total ? a : total;                                   \
                } else {                                                                           \
                    total += a + b + c + d;                                                        \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return largest || rows * cols == 0 ? total : total / (T)(rows * cols);                     \
    }                                                                                              \
    static inline int dlc_roi_align_##name(                                                        \
        T *y, const T *x, const T *rois, const int64_t *image, ptrdiff_t regions,                  \
        ptrdiff_t images, ptrdiff_t channels, ptrdiff_t H, ptrdiff_t W, ptrdiff_t PH,              \
        ptrdiff_t PW, ptrdiff_t ratio, T scale, T offset, ptrdiff_t largest) {                     \
        for (ptrdiff_t r = 0; r < regions; r++) {                                                  \
            if (image[r] < 0 || image[r] >= images) {                                              \
                return DLC_BAD_INDEX;                                                              \
            }                                                                                      \
        }                                                                                          \
        for (ptrdiff_t r = 0; r < regions; r++, rois += 4) {                                       \
            const T left = rois[0] * scale - offset, top = rois[1] * scale - offset;               \
            T wide = rois[2] * scale - offset - left, high = rois[3] * scale - offset - top;       \
            if (offset == 0) {                                                                     \
                wide = wide > 1 ? wide : 1;                                                        \
                high = high > 1 ? high : 1;                                                        \
            }                                                                                      \
            high /= (T)PH;                                                                         \
            wide /= (T)PW;                                                                         \
            const ptrdiff_t rows = dlc_roi_grid_##name(high, ratio);                               \
            const ptrdiff_t cols = dlc_roi_grid_##name(wide, ratio);                               \
            const T *from = x + (ptrdiff_t)image[r] * channels * H * W;                            \
            for (ptrdiff_t c = 0; c < channels; c++, from += H * W) {                              \
                for (ptrdiff_t i = 0; i < PH; i++) {                                               \
                    for (ptrdiff_t j = 0; j < PW; j++, y++) {                                      \
                        *y = dlc_roi_bin_##name(from, H, W, top + (T)i * high, left + (T)j * wide, \
                                                high, wide, rows, cols, largest);                  \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }

DLC_ROI_ALIGN(float, f32)
DLC_ROI_ALIGN(double, f64)

#endif
