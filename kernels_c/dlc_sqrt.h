/* dlc_sqrt_f32, dlc_sqrt_f64: square root.
 *
 * f32 correctly rounded, f64 below 0.51 ulp. sqrt(-0) is -0, of a negative NaN, of inf inf.
 * Method: reciprocal square root from the bit pattern, Newton steps, and one correction of x * y by
 * its exact remainder. No branch.
 */
#ifndef DLC_SQRT_H
#define DLC_SQRT_H

#include "dlc_bits.h"
#include "dlc_exact.h"

/* 1 / sqrt(x) for normal x > 0, with a relative error below 2^-45 (3.5 % to begin with) */
static inline double dlc_rsqrt_near(double x) {
    double y = dlc_from_bits_f64(0x5fe6eb50c7b537a9u - (dlc_bits_f64(x) >> 1));
    y = y * (1.5 - 0.5 * x * y * y);
    y = y * (1.5 - 0.5 * x * y * y);
    y = y * (1.5 - 0.5 * x * y * y);
    return y * (1.5 - 0.5 * x * y * y);
}

static inline float dlc_sqrt_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x);
    const double wide = (double)dlc_from_bits_f32(bits & ~DLC_SIGN_F32);
    const double y = dlc_rsqrt_near(wide), s = wide * y;
    const float root = (float)(s + 0.5 * y * (wide - s * s));
    const float special = dlc_select_f32(bits == 0x7f800000u, x, DLC_NAN_F32);
    const float not_zero = dlc_select_f32(bits >= 0x7f800000u, special, root);
    return dlc_select_f32((bits & ~DLC_SIGN_F32) == 0, x, not_zero);
}

static inline double dlc_sqrt_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    /* remainders of tiny numbers would be denormal */
    const uint64_t tiny = magnitude < 0x0800000000000000u;
    const double scaled = dlc_from_bits_f64(magnitude) * dlc_select_f64(tiny, 0x1p540, 1.0);
    const double y = dlc_rsqrt_near(scaled), s = scaled * y, square = s * s;
    const double rest = (scaled - square) - dlc_product_error_f64(s, s, square);
    const double root = (s + 0.5 * y * rest) * dlc_select_f64(tiny, 0x1p-270, 1.0);
    const double special = dlc_select_f64(bits == 0x7ff0000000000000u, x, DLC_NAN_F64);
    const double not_zero = dlc_select_f64(bits >= 0x7ff0000000000000u, special, root);
    return dlc_select_f64(magnitude == 0, x, not_zero);
}

#endif
