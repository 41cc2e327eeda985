/* dlc_pow_<type>: a to the power b, for floats and integers.
 *
 * f32 below 0.51 ulp, f64 below 1.5 ulp; special cases as C99 annex F (pow(x, 0) and pow(1, y) are
 * 1 even for NaN; a negative base with a broken exponent is NaN). Exponent 2 is exactly a * a,
 * which a compiler that sees the constant turns into one product.
 * Integers wrap modulo 2^bits; with a negative exponent the result is 1 / a^-b truncated: 0 unless
 * a is 1 or -1 (and 0 for a = 0).
 * Method for floats: exp(b log a); f32 computes in double, f64 carries the logarithm as a sum of
 * two doubles.
 */
#ifndef DLC_POW_H
#define DLC_POW_H

#include "dlc_bits.h"
#include "dlc_exact.h"
#include "dlc_exp.h"
#include "dlc_log.h"
#include <stdint.h>

/* 0: y is no integer; 1: odd; 2: even (infinity too) */
static inline int dlc_parity_f64(double y) {
    const uint64_t magnitude = dlc_bits_f64(y) & ~DLC_SIGN_F64;
    const int exponent = (int)(magnitude >> 52) - 1023;
    if (exponent < 0) {
        return magnitude == 0 ? 2 : 0;
    }
    if (exponent > 52) {
        return 2;
    }
    const uint64_t below = ((uint64_t)1 << (52 - exponent)) - 1u;
    if ((magnitude & below) != 0) {
        return 0;
    }
    const uint64_t mantissa = (magnitude & 0x000fffffffffffffu) | 0x0010000000000000u;
    return (mantissa >> (52 - exponent)) & 1u ? 1 : 2;
}

/* |x|^y completed for the sign of x and the cases that are 1 or NaN. */
static inline double dlc_pow_finish_f64(double x, double y, double power) {
    const uint64_t sign = dlc_bits_f64(x) & DLC_SIGN_F64, y_bits = dlc_bits_f64(y) & ~DLC_SIGN_F64;
    const double size = dlc_from_bits_f64(dlc_bits_f64(x) & ~DLC_SIGN_F64);
    const int parity = dlc_parity_f64(y);
    if (y_bits == 0 || x == 1.0) {
        return 1.0;
    }
    if (x != x || y != y) {
        return x + y;
    }
    if (size == 1.0 && y_bits == 0x7ff0000000000000u) {
        return 1.0;
    }
    if (sign != 0 && parity == 0 && size > 0.0 && size < DLC_INFINITY_F64) {
        return DLC_NAN_F64;
    }
    return parity == 1 ? dlc_from_bits_f64(dlc_bits_f64(power) | sign) : power;
}

static inline float dlc_pow_f32(float a, float b) {
    if (b == 2.0f) {
        return a * a;
    }
    const double x = (double)a, y = (double)b;
    const double size = dlc_from_bits_f64(dlc_bits_f64(x) & ~DLC_SIGN_F64);
    return (float)dlc_pow_finish_f64(x, y, dlc_exp_f64(y * dlc_log_f64(size)));
}

/* log(x) = high + *low within 2^-62 of itself, for normal or denormal x > 0. */
static inline double dlc_log_pair_f64(double x, double *low) {
    const uint64_t small = dlc_bits_f64(x) < 0x0010000000000000u;
    const double normal = x * dlc_select_f64(small, 0x1p52, 1.0);
    const uint64_t shifted = dlc_bits_f64(normal) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    const double e = (double)((int32_t)(shifted >> 52) - (small ? 1075 : 1023));
    const double m = dlc_from_bits_f64((shifted & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu);
    /* s = (m - 1) / (m + 1) */
    const double f = m - 1.0, u = m + 1.0, u_low = m - (u - 1.0);
    const double s = f / u, back = s * u;
    const double s_low = ((f - back) - dlc_product_error_f64(s, u, back) - s * u_low) / u;
    /* z = s^2, third = 2/3 z, both in two parts */
    const double z = s * s, z_low = dlc_product_error_f64(s, s, z) + 2.0 * s * s_low;
    const double c = 0x1.5555555555555p-1, c_low = 0x1.5555555555555p-55;
    const double third = c * z,
                 third_low = dlc_product_error_f64(c, z, third) + c * z_low + c_low * z;
    double p = 0x1.0e52400b668b9p-3;
    p = dlc_fma_f64(p, z, 0x1.0f7e48a906923p-3);
    p = dlc_fma_f64(p, z, 0x1.3b1efd5d2114dp-3);
    p = dlc_fma_f64(p, z, 0x1.745ce98696bfap-3);
    p = dlc_fma_f64(p, z, 0x1.c71c722e6ace8p-3);
    p = dlc_fma_f64(p, z, 0x1.2492492457238p-2);
    p = dlc_fma_f64(p, z, 0x1.9999999999b36p-2);
    /* log(m) = s (2 + third + z^2 p) */
    const double factor = 2.0 + third;
    const double factor_low = dlc_sum_error_f64(2.0, third, factor) + (third_low + z * z * p);
    const double log_m = s * factor;
    const double log_m_low =
        dlc_product_error_f64(s, factor, log_m) + (s * factor_low + s_low * factor);
    const double base = e * 0x1.62e42fefa38p-1; /* exact: the constant has 42 bits */
    const double high = base + log_m;
    *low = dlc_sum_error_f64(base, log_m, high) + (log_m_low + e * 0x1.ef35793c7673p-45);
    return high;
}

static inline double dlc_pow_f64(double a, double b) {
    if (b == 2.0) {
        return a * a;
    }
    const double size = dlc_from_bits_f64(dlc_bits_f64(a) & ~DLC_SIGN_F64);
    const int regular = size > 0.0 && size < DLC_INFINITY_F64;
    /* beyond 2^64 any power but 1^b is 0 or infinite */
    const double y = b > 0x1p64 ? 0x1p64 : b < -0x1p64 ? -0x1p64 : b == b ? b : 0.0;
    double low;
    const double high = dlc_log_pair_f64(regular ? size : 2.0, &low);
    const double product = y * high;
    const double whole = product > 800.0 ? 800.0 : product < -800.0 ? -800.0 : product;
    const double rest = whole == product ? dlc_product_error_f64(y, high, product) + y * low : 0.0;
    uint64_t n;
    const double r = dlc_exp_reduce_f64(whole, &n);
    const double t = r + rest;
    const double power = dlc_scale_f64(1.0 + (t + dlc_exp_tail_f64(t)), n);
    const double grows = (size == 0.0) == (b < 0.0) ? DLC_INFINITY_F64 : 0.0;
    return dlc_pow_finish_f64(a, b, regular ? power : grows);
}

static inline uint64_t dlc_pow_wrapping(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent != 0; exponent >>= 1, base *= base) {
        result *= exponent & 1u ? base : 1u;
    }
    return result;
}

/* a^-n, truncated, for n > 0 */
static inline int dlc_pow_inverse(int64_t a, int odd) {
    return a == 1 || (a == -1 && !odd) ? 1 : a == -1 ? -1 : 0;
}

#define DLC_POW_SIGNED(T, name)                                                                    \
    static inline T dlc_pow_##name(T a, T b) {                                                     \
        return b < 0 ? (T)dlc_pow_inverse((int64_t)a, (int)(b & 1))                                \
                     : (T)dlc_pow_wrapping((uint64_t)(int64_t)a, (uint64_t)b);                     \
    }
#define DLC_POW_UNSIGNED(T, name)                                                                  \
    static inline T dlc_pow_##name(T a, T b) {                                                     \
        return (T)dlc_pow_wrapping((uint64_t)a, (uint64_t)b);                                      \
    }

DLC_POW_SIGNED(int8_t, i8)
DLC_POW_SIGNED(int16_t, i16)
DLC_POW_SIGNED(int32_t, i32)
DLC_POW_SIGNED(int64_t, i64)
DLC_POW_UNSIGNED(uint8_t, u8)
DLC_POW_UNSIGNED(uint16_t, u16)
DLC_POW_UNSIGNED(uint32_t, u32)
DLC_POW_UNSIGNED(uint64_t, u64)

#endif
