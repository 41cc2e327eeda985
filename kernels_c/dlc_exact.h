/* Exact errors of rounded operations, the parts of double-double arithmetic.
 *
 * dlc_product_error_f64(a, b, p) is a * b - p for p the rounded a * b; dlc_sum_error_f64(a, b, s)
 * is a + b - s for s the rounded a + b and |a| >= |b| or a 0 (T. J. Dekker, 1971). Both within
 * 2^-105 of |a * b| or exact, for values whose products neither overflow nor underflow.
 */
#ifndef DLC_EXACT_H
#define DLC_EXACT_H

#include "dlc_bits.h"
#include "dlc_fma.h"

static inline double dlc_product_error_f64(double a, double b, double p) {
#if DLC_HAS_FMA_F64
    return dlc_fma_f64(a, b, -p);
#else
    const double ah = dlc_from_bits_f64(dlc_bits_f64(a) & 0xfffffffff8000000u), al = a - ah;
    const double bh = dlc_from_bits_f64(dlc_bits_f64(b) & 0xfffffffff8000000u), bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

static inline double dlc_sum_error_f64(double a, double b, double s) {
    return b - (s - a);
}

#endif
