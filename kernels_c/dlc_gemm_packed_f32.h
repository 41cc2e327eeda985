/* dlc_gemm_packed_f32: a tile of a matrix product whose right-hand side is packed in panels.
 *
 * acc[i][j] = sum over k < depth of a[i * a_row + k] * b[k * width + j]
 * for i < rows, j < cols, width being cols rounded up to a multiple of 16.
 *
 * rows   at least 1 and at most 14
 * cols   1 to 32
 * b      a panel [depth][width]; depth 0 gives 0
 *
 * Method: the sums of up to 14 rows x 2 vectors of columns (6 x 2 where there are 16 registers) stay
 * in registers over the whole depth; a vector of the panel meets the entries of all rows. All sizes
 * but the depth are literals, so that what depends on them is decided when compiling.
 */
#ifndef DLC_GEMM_PACKED_F32_H
#define DLC_GEMM_PACKED_F32_H

#include "dlc_kernel.h"
#include "dlc_vector.h"
#include <stddef.h>

/* What an epilogue needs, such as a polynomial's coefficients, gcc would keep in registers from tile
 * to tile, and the sums on the stack. A call would not leave it there; nor does this, which is none.
 */
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
#define DLC_GEMM_FENCE                                                                             \
    __asm__ __volatile__("" ::                                                                     \
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",     \
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",        \
                               "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21",      \
                               "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",      \
                               "xmm29", "xmm30", "xmm31");
#elif defined(__GNUC__) && !defined(__clang__) && defined(__AVX__)
#define DLC_GEMM_FENCE                                                                             \
    __asm__ __volatile__("" ::                                                                     \
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",     \
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",        \
                               "xmm15");
#else
#define DLC_GEMM_FENCE
#endif

#define DLC_GEMM_START(p)                                                                          \
    DLC_VECTOR(a##p);                                                                              \
    DLC_VECTOR(b##p);                                                                              \
    if (rows > p) {                                                                                \
        DLC_VECTOR_LOAD(a##p, zero);                                                               \
        if (vectors > 1) {                                                                         \
            DLC_VECTOR_LOAD(b##p, zero);                                                           \
        }                                                                                          \
    }
#define DLC_GEMM_ADD(p)                                                                            \
    if (rows > p) {                                                                                \
        const float s = at[p * a_row];                                                             \
        DLC_VECTOR_SCALED(a##p, s, from);                                                          \
        if (vectors > 1) {                                                                         \
            DLC_VECTOR_SCALED(b##p, s, from + DLC_LANES);                                          \
        }                                                                                          \
    }
#define DLC_GEMM_STORE(p)                                                                          \
    if (rows > p) {                                                                                \
        DLC_VECTOR_STORE(to + p * to_row, a##p);                                                   \
        if (vectors > 1) {                                                                         \
            DLC_VECTOR_STORE(to + p * to_row + DLC_LANES, b##p);                                   \
        }                                                                                          \
    }

/* Up to DLC_VECTOR_PIXELS rows of one or two vectors of columns. */
DLC_KERNEL void dlc_gemm_registers_f32(float *to, ptrdiff_t to_row, ptrdiff_t vectors,
                                       ptrdiff_t rows, ptrdiff_t depth, const float *at,
                                       ptrdiff_t a_row, const float *from, ptrdiff_t width) {
    const float zero[DLC_LANES] = {0.0f};
    DLC_GEMM_FENCE
    DLC_VECTOR_EACH(DLC_GEMM_START)
    for (ptrdiff_t k = 0; k < depth; k++) {
        DLC_VECTOR_EACH(DLC_GEMM_ADD)
        at++;
        from += width;
    }
    DLC_VECTOR_EACH(DLC_GEMM_STORE)
}

/* Every vector of a tile's columns; to[rows][width]. */
DLC_KERNEL void dlc_gemm_panel_f32(float *to, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t depth,
                                   const float *a, ptrdiff_t a_row, const float *b) {
#if DLC_LANES == 16
    dlc_gemm_registers_f32(to, width, width / 16, rows, depth, a, a_row, b, width);
#else
    const ptrdiff_t parts = (rows + DLC_VECTOR_PIXELS - 1) / DLC_VECTOR_PIXELS;
    const ptrdiff_t part = (rows + parts - 1) / parts, done = (parts - 1) * part;
    for (ptrdiff_t j = 0; j < width; j += 2 * DLC_LANES) {
        for (ptrdiff_t i = 0; i < done; i += part) {
            dlc_gemm_registers_f32(to + i * width + j, width, 2, part, depth, a + i * a_row, a_row,
                                   b + j, width);
        }
        dlc_gemm_registers_f32(to + done * width + j, width, 2, rows - done, depth,
                               a + done * a_row, a_row, b + j, width);
    }
#endif
}

DLC_KERNEL void dlc_gemm_packed_f32(float *acc, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth,
                                    const float *a, ptrdiff_t a_row, const float *b) {
    if (cols % 16 == 0) {
        dlc_gemm_panel_f32(acc, rows, cols, depth, a, a_row, b);
    } else {
        float whole[14 * 32];
        const ptrdiff_t width = (cols + 15) / 16 * 16;
        dlc_gemm_panel_f32(whole, rows, width, depth, a, a_row, b);
        for (ptrdiff_t i = 0; i < rows; i++) {
            DLC_ROLLED
            for (ptrdiff_t j = 0; j < cols; j++) {
                acc[i * cols + j] = whole[i * width + j];
            }
        }
    }
}

#endif
