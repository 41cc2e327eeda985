/* Where a tap of a sliding window lands: tap k of output o reads input o*S - P + k*D.
 *
 * dlc_tap_first and dlc_tap_end bound the outputs whose tap at offset `off` = k*D - P is inside an
 * axis of size `size`: first <= o < end (end <= first when there is none). dlc_taps_inside counts
 * the k in 0..K with low <= start + k*D < high. S and D are at least 1.
 */
#ifndef DLC_TAP_H
#define DLC_TAP_H

#include <stddef.h>

static inline ptrdiff_t dlc_ceil_div(ptrdiff_t a, ptrdiff_t b) {
    return a <= 0 ? 0 : (a - 1) / b + 1; /* never below 0: an output index is not */
}

static inline ptrdiff_t dlc_tap_first(ptrdiff_t off, ptrdiff_t S) {
    return dlc_ceil_div(-off, S);
}

static inline ptrdiff_t dlc_tap_end(ptrdiff_t off, ptrdiff_t size, ptrdiff_t S) {
    return dlc_ceil_div(size - off, S);
}

static inline ptrdiff_t dlc_taps_inside(ptrdiff_t start, ptrdiff_t K, ptrdiff_t D, ptrdiff_t low,
                                        ptrdiff_t high) {
    const ptrdiff_t first = dlc_ceil_div(low - start, D);
    const ptrdiff_t end = dlc_ceil_div(high - start, D);
    const ptrdiff_t last = end < K ? end : K;
    return last > first ? last - first : 0;
}

static inline ptrdiff_t dlc_at_least(ptrdiff_t a, ptrdiff_t low) {
    return a > low ? a : low;
}

static inline ptrdiff_t dlc_at_most(ptrdiff_t a, ptrdiff_t high) {
    return a < high ? a : high;
}

#endif
