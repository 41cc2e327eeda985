/* dlc_top_k_<type>: the k greatest (or least) elements along an axis, best first.
 *
 * values  outer x k x inner;  index  of the same shape, positions along the axis
 * x       outer x axis x inner;  0 <= k <= axis;  largest: 1 for the greatest, 0 for the least
 * Of equal elements the earlier comes first. NaN is greater than every number.
 * Method: a heap of the k best so far, its root the worst of them, in the memory of the result.
 */
#ifndef DLC_TOP_K_H
#define DLC_TOP_K_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DLC_GREATER_INTEGER(a, b) ((a) > (b))
#define DLC_GREATER_FLOAT(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))

#define DLC_TOP_K(T, name, greater)                                                                \
    /* whether position a comes before position b */                                               \
    static inline bool dlc_ranks_##name(const T *x, ptrdiff_t inner, bool largest, int64_t a,      \
                                        int64_t b) {                                               \
        const T va = x[(ptrdiff_t)a * inner], vb = x[(ptrdiff_t)b * inner];                        \
        return greater(va, vb) ? largest : greater(vb, va) ? !largest : a < b;                     \
    }                                                                                              \
    static inline void dlc_sift_##name(const T *x, int64_t *heap, ptrdiff_t inner, bool largest,   \
                                       ptrdiff_t size) {                                           \
        for (ptrdiff_t at = 0, child = 1; child < size; at = child, child = 2 * at + 1) {          \
            child += child + 1 < size && dlc_ranks_##name(x, inner, largest, heap[child * inner],  \
                                                          heap[(child + 1) * inner]);              \
            const int64_t down = heap[at * inner], up = heap[child * inner];                       \
            if (dlc_ranks_##name(x, inner, largest, up, down)) {                                   \
                return;                                                                            \
            }                                                                                      \
            heap[at * inner] = up;                                                                 \
            heap[child * inner] = down;                                                            \
        }                                                                                          \
    }                                                                                              \
    static inline void dlc_top_k_line_##name(T *values, int64_t *heap, const T *x, ptrdiff_t axis, \
                                             ptrdiff_t inner, ptrdiff_t k, bool largest) {         \
        for (ptrdiff_t i = 0; i < k; i++) {                                                        \
            ptrdiff_t at = i;                                                                      \
            while (at > 0 && dlc_ranks_##name(x, inner, largest, heap[(at - 1) / 2 * inner], i)) { \
                heap[at * inner] = heap[(at - 1) / 2 * inner];                                     \
                at = (at - 1) / 2;                                                                 \
            }                                                                                      \
            heap[at * inner] = i;                                                                  \
        }                                                                                          \
        for (ptrdiff_t i = k; i < axis && k > 0; i++) {                                            \
            if (dlc_ranks_##name(x, inner, largest, i, heap[0])) {                                 \
                heap[0] = i;                                                                       \
                dlc_sift_##name(x, heap, inner, largest, k);                                       \
            }                                                                                      \
        }                                                                                          \
        for (ptrdiff_t size = k - 1; size >= 0; size--) {                                          \
            const int64_t worst = heap[0];                                                         \
            heap[0] = heap[size * inner];                                                          \
            heap[size * inner] = worst;                                                            \
            dlc_sift_##name(x, heap, inner, largest, size);                                        \
            values[size * inner] = x[(ptrdiff_t)worst * inner];                                    \
        }                                                                                          \
    }                                                                                              \
    static inline void dlc_top_k_##name(T *values, int64_t *index, const T *x, ptrdiff_t outer,    \
                                        ptrdiff_t axis, ptrdiff_t inner, ptrdiff_t k,              \
                                        ptrdiff_t largest) {                                       \
        for (ptrdiff_t o = 0; o < outer; o++) {                                                    \
            for (ptrdiff_t j = 0; j < inner; j++) {                                                \
                const ptrdiff_t at = o * k * inner + j;                                            \
                dlc_top_k_line_##name(values + at, index + at, x + o * axis * inner + j, axis,     \
                                      inner, k, largest != 0);                                     \
            }                                                                                      \
        }                                                                                          \
    }

DLC_TOP_K(float, f32, DLC_GREATER_FLOAT)
DLC_TOP_K(double, f64, DLC_GREATER_FLOAT)
DLC_TOP_K(int8_t, i8, DLC_GREATER_INTEGER)
DLC_TOP_K(int16_t, i16, DLC_GREATER_INTEGER)
DLC_TOP_K(int32_t, i32, DLC_GREATER_INTEGER)
DLC_TOP_K(int64_t, i64, DLC_GREATER_INTEGER)
DLC_TOP_K(uint8_t, u8, DLC_GREATER_INTEGER)
DLC_TOP_K(uint16_t, u16, DLC_GREATER_INTEGER)
DLC_TOP_K(uint32_t, u32, DLC_GREATER_INTEGER)
DLC_TOP_K(uint64_t, u64, DLC_GREATER_INTEGER)

#endif
