/* dlc_gemm_tile_f32: a tile of a matrix product, rows x cols.
 *
 * acc[i][j] = sum over k < depth of a[i*a_row + k*a_depth] * b[k*b_depth + j*b_col]
 * Writes every element of acc[rows][cols]; depth 0 gives 0. Sizes at least 0.
 *
 * Method: with b_col 1, blocks of 4 rows x 2 vectors of columns stay in registers over the whole
 * depth; with a_depth and b_depth 1 (b stored transposed), each row is a vector of partial sums
 * along the depth against 4 columns at a time. So rounding differs between the two by the order of
 * the sum.
 */
#ifndef DLC_GEMM_TILE_F32_H
#define DLC_GEMM_TILE_F32_H

#include "dlc_fma.h"
#include "dlc_kernel.h"
#include "dlc_lanes.h"
#include "dlc_tap.h"
#include <stddef.h>

/* 4 rows x 2 vectors of columns; b_col is 1. */
static inline void dlc_gemm_block4_f32(float *acc, ptrdiff_t cols, ptrdiff_t depth, const float *a,
                                       ptrdiff_t a_row, ptrdiff_t a_depth, const float *b,
                                       ptrdiff_t b_depth) {
    float a0[DLC_LANES], a1[DLC_LANES], a2[DLC_LANES], a3[DLC_LANES];
    float b0[DLC_LANES], b1[DLC_LANES], b2[DLC_LANES], b3[DLC_LANES];
    DLC_EACH_LANE(v) {
        a0[v] = a1[v] = a2[v] = a3[v] = b0[v] = b1[v] = b2[v] = b3[v] = 0.0f;
    }
    for (ptrdiff_t k = 0; k < depth; k++, a += a_depth, b += b_depth) {
        const float f0 = a[0], f1 = a[a_row], f2 = a[2 * a_row], f3 = a[3 * a_row];
        DLC_EACH_LANE(v) {
            a0[v] = dlc_fma_f32(f0, b[v], a0[v]);
            a1[v] = dlc_fma_f32(f1, b[v], a1[v]);
            a2[v] = dlc_fma_f32(f2, b[v], a2[v]);
            a3[v] = dlc_fma_f32(f3, b[v], a3[v]);
        }
        DLC_EACH_LANE(v) {
            b0[v] = dlc_fma_f32(f0, b[DLC_LANES + v], b0[v]);
            b1[v] = dlc_fma_f32(f1, b[DLC_LANES + v], b1[v]);
            b2[v] = dlc_fma_f32(f2, b[DLC_LANES + v], b2[v]);
            b3[v] = dlc_fma_f32(f3, b[DLC_LANES + v], b3[v]);
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

/* Columns c0..cols of any number of rows with acc in memory; b_col is 1. */
static inline void dlc_gemm_columns_f32(float *acc, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t c0,
                                        ptrdiff_t depth, const float *a, ptrdiff_t a_row,
                                        ptrdiff_t a_depth, const float *b, ptrdiff_t b_depth) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        float *to = acc + i * cols;
        DLC_ROLLED
        for (ptrdiff_t j = c0; j < cols; j++) {
            to[j] = 0.0f;
        }
        for (ptrdiff_t k = 0; k < depth; k++) {
            const float f = a[i * a_row + k * a_depth], *from = b + k * b_depth;
            DLC_ROLLED
            for (ptrdiff_t j = c0; j < cols; j++) {
                to[j] = dlc_fma_f32(f, from[j], to[j]);
            }
        }
    }
}

/* One row against up to 4 columns, all contiguous along the depth. */
static inline void dlc_gemm_dots_f32(float *acc, ptrdiff_t columns, ptrdiff_t depth, const float *a,
                                     const float *b, ptrdiff_t b_col) {
    const float *c0 = b, *c1 = columns > 1 ? c0 + b_col : c0;
    const float *c2 = columns > 2 ? c1 + b_col : c1, *c3 = columns > 3 ? c2 + b_col : c2;
    float s0[DLC_LANES], s1[DLC_LANES], s2[DLC_LANES], s3[DLC_LANES];
    DLC_EACH_LANE(v) {
        s0[v] = s1[v] = s2[v] = s3[v] = 0.0f;
    }
    const ptrdiff_t whole = depth / DLC_LANES * DLC_LANES;
    for (ptrdiff_t k = 0; k < whole; k += DLC_LANES) {
        DLC_EACH_LANE(v) {
            s0[v] = dlc_fma_f32(a[k + v], c0[k + v], s0[v]);
            s1[v] = dlc_fma_f32(a[k + v], c1[k + v], s1[v]);
            s2[v] = dlc_fma_f32(a[k + v], c2[k + v], s2[v]);
            s3[v] = dlc_fma_f32(a[k + v], c3[k + v], s3[v]);
        }
    }
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    DLC_ROLLED
    for (ptrdiff_t k = whole; k < depth; k++) {
        sum[0] = dlc_fma_f32(a[k], c0[k], sum[0]);
        sum[1] = dlc_fma_f32(a[k], c1[k], sum[1]);
        sum[2] = dlc_fma_f32(a[k], c2[k], sum[2]);
        sum[3] = dlc_fma_f32(a[k], c3[k], sum[3]);
    }
    for (ptrdiff_t v = 0; v < DLC_LANES; v++) {
        sum[0] += s0[v];
        sum[1] += s1[v];
        sum[2] += s2[v];
        sum[3] += s3[v];
    }
    for (ptrdiff_t j = 0; j < columns; j++) {
        acc[j] = sum[j];
    }
}

DLC_KERNEL void dlc_gemm_tile_f32(float *acc, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth,
                                  const float *a, ptrdiff_t a_row, ptrdiff_t a_depth,
                                  const float *b, ptrdiff_t b_depth, ptrdiff_t b_col) {
    const ptrdiff_t block = 2 * DLC_LANES;
    if (b_col == 1) {
        ptrdiff_t i = 0;
        for (; i + 4 <= rows && cols >= block; i += 4) {
            for (ptrdiff_t j = 0; j < cols; j += block) {
                /* the last block starts early enough to be whole, and computes some columns again
                 */
                const ptrdiff_t at = dlc_at_most(j, cols - block);
                dlc_gemm_block4_f32(acc + i * cols + at, cols, depth, a + i * a_row, a_row, a_depth,
                                    b + at, b_depth);
            }
        }
        dlc_gemm_columns_f32(acc + i * cols, rows - i, cols, 0, depth, a + i * a_row, a_row,
                             a_depth, b, b_depth);
    } else if (a_depth == 1 && b_depth == 1) {
        for (ptrdiff_t j = 0; j < cols; j += 4) { /* the 4 columns stay near while rows pass */
            for (ptrdiff_t i = 0; i < rows; i++) {
                dlc_gemm_dots_f32(acc + i * cols + j, dlc_at_most(4, cols - j), depth,
                                  a + i * a_row, b + j * b_col, b_col);
            }
        }
    } else {
        for (ptrdiff_t i = 0; i < rows; i++) {
            for (ptrdiff_t j = 0; j < cols; j++) {
                float sum = 0.0f;
                for (ptrdiff_t k = 0; k < depth; k++) {
                    sum = dlc_fma_f32(a[i * a_row + k * a_depth], b[k * b_depth + j * b_col], sum);
                }
                acc[i * cols + j] = sum;
            }
        }
    }
}

#endif
