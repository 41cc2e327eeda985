/* dlc_cast_<type>_<type>: between the types C has not and f32, f64 or i32.
 *
 * f16, bf16, f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz, f6e2m3, f6e3m2 and f4e2m1 are stored as their bits in
 * uint16_t or uint8_t. To f32: exact. From f32 and f64: round half even, once (bf16: f64 through
 * f32); what is too large becomes infinity (f16, bf16, f8e5m2), NaN (the other f8) or the largest
 * value (f6, f4, whose NaN becomes a zero of the other sign). NaN of f16 keeps the leading bits of
 * its payload, others become the one quiet NaN. f8e8m0, to f32 only: 2^(x - 127), 255 being NaN.
 * i4, u4, i2, u2 are stored one a byte, whose upper bits count for nothing. From f32 and f64:
 * truncated, saturated, NaN 0; from i32: the lowest bits.
 */
#ifndef DLC_CAST_NARROW_H
#define DLC_CAST_NARROW_H

#include "dlc_bits.h"
#include <stdint.h>

/* Magnitude of a finite value of M mantissa bits below the exponent: f32 with the same value. */
static inline float dlc_widen(uint32_t magnitude, int M, int bias) {
    const uint32_t e = magnitude >> M, m = magnitude & ((1u << M) - 1u);
    if (e == 0) {
        return (float)m * dlc_from_bits_f32((uint32_t)(128 - bias - M) << 23);
    }
    return dlc_from_bits_f32((uint32_t)((int)e - bias + 127) << 23 | m << (23 - M));
}

/* Magnitude of a value other than NaN, rounded half even; above `largest` it is `overflow`. */
static inline uint32_t dlc_narrow(double x, int M, int bias, uint32_t largest, uint32_t overflow) {
    const uint64_t magnitude = dlc_bits_f64(x) & ~DLC_SIGN_F64;
    const int e = (int)(magnitude >> 52) - 1023 + bias; /* exponent field in the narrow type */
    const uint64_t m = (magnitude & 0x000fffffffffffffu) | 0x0010000000000000u;
    const int shift = 52 - M + (e < 1 ? 1 - e : 0);
    if (shift > 54) {
        return 0;
    }
    const uint64_t half = (uint64_t)1 << (shift - 1), rest = m & (2 * half - 1);
    uint64_t q = m >> shift;
    q += (uint64_t)(rest > half || (rest == half && (q & 1u) != 0));
    q += e < 1 ? 0 : (uint64_t)(e - 1) << M; /* q holds the leading 1, which is one exponent */
    return q > largest ? overflow : (uint32_t)q;
}

static inline uint32_t dlc_negative(double x) {
    return (uint32_t)(dlc_bits_f64(x) >> 63);
}

static inline float dlc_cast_f16_f32(uint16_t x) {
    const uint32_t magnitude = x & 0x7fffu, sign = (x & 0x8000u) << 16;
    const uint32_t special = 0x7f800000u | (magnitude & 0x03ffu) << 13;
    const uint32_t plain = dlc_bits_f32(dlc_widen(magnitude, 10, 15));
    return dlc_from_bits_f32(sign | (magnitude >= 0x7c00u ? special : plain));
}

static inline uint16_t dlc_cast_f64_f16(double x) {
    const uint64_t payload = (dlc_bits_f64(x) & 0x000fffffffffffffu) >> 42;
    const uint32_t nan = 0x7c00u | (uint32_t)(payload != 0 ? payload : 1u);
    const uint32_t m = x == x ? dlc_narrow(x, 10, 15, 0x7bffu, 0x7c00u) : nan;
    return (uint16_t)(dlc_negative(x) << 15 | m);
}

static inline uint16_t dlc_cast_f32_f16(float x) {
    const uint32_t bits = dlc_bits_f32(x), payload = (bits & 0x007fffffu) >> 13;
    if (x != x) { /* by the bits: widening would make a signalling NaN quiet */
        return (uint16_t)((bits >> 16 & 0x8000u) | 0x7c00u | (payload != 0 ? payload : 1u));
    }
    return dlc_cast_f64_f16((double)x);
}

static inline float dlc_cast_bf16_f32(uint16_t x) {
    return dlc_from_bits_f32((uint32_t)x << 16);
}

static inline uint16_t dlc_cast_f32_bf16(float x) {
    const uint32_t bits = dlc_bits_f32(x);
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return (uint16_t)(x == x ? rounded : ((bits >> 16 & 0x8000u) | 0x7fc0u));
}

static inline uint16_t dlc_cast_f64_bf16(double x) {
    return dlc_cast_f32_bf16((float)x);
}

/* F8 with an infinity (greatest finite value < 0x7c) or without */
#define DLC_CAST_F8(name, M, bias, first_nan, infinity, largest, overflow)                         \
    static inline float dlc_cast_##name##_f32(uint8_t x) {                                         \
        const uint32_t magnitude = x & 0x7fu;                                                      \
        const float plain = magnitude >= first_nan    ? DLC_NAN_F32                                \
                            : magnitude == (infinity) ? DLC_INFINITY_F32                           \
                                                      : dlc_widen(magnitude, M, bias);             \
        return x > 0x7f ? -plain : plain;                                                          \
    }                                                                                              \
    static inline uint8_t dlc_cast_f64_##name(double x) {                                          \
        const uint32_t m = x == x ? dlc_narrow(x, M, bias, largest, overflow) : first_nan;         \
        return (uint8_t)(dlc_negative(x) << 7 | m);                                                \
    }                                                                                              \
    static inline uint8_t dlc_cast_f32_##name(float x) {                                           \
        return dlc_cast_f64_##name((double)x);                                                     \
    }

DLC_CAST_F8(f8e4m3fn, 3, 7, 0x7fu, 0x80u, 0x7eu, 0x7fu)
DLC_CAST_F8(f8e5m2, 2, 15, 0x7du, 0x7cu, 0x7bu, 0x7cu)

/* F8 whose only special value is NaN, at 0x80: no infinity, no negative zero */
#define DLC_CAST_F8_NUZ(name, M, bias)                                                             \
    static inline float dlc_cast_##name##_f32(uint8_t x) {                                         \
        const float plain = dlc_widen(x & 0x7fu, M, bias);                                         \
        return x == 0x80 ? DLC_NAN_F32 : x > 0x7f ? -plain : plain;                                \
    }                                                                                              \
    static inline uint8_t dlc_cast_f64_##name(double x) {                                          \
        const uint32_t m = x == x ? dlc_narrow(x, M, bias, 0x7fu, 0x80u) : 0x80u;                  \
        return (uint8_t)(m == 0 ? 0u : m | dlc_negative(x) << 7);                                  \
    }                                                                                              \
    static inline uint8_t dlc_cast_f32_##name(float x) {                                           \
        return dlc_cast_f64_##name((double)x);                                                     \
    }

DLC_CAST_F8_NUZ(f8e4m3fnuz, 3, 8)
DLC_CAST_F8_NUZ(f8e5m2fnuz, 2, 16)

static inline float dlc_cast_f8e8m0_f32(uint8_t x) {
    const uint32_t least = 0x00400000u; /* 2^-127 is no normal number */
    return x == 255 ? DLC_NAN_F32 : dlc_from_bits_f32(x == 0 ? least : (uint32_t)x << 23);
}

/* finite values only: a sign above a magnitude of which every pattern is a number */
#define DLC_CAST_FINITE(name, M, bias, sign)                                                       \
    static inline float dlc_cast_##name##_f32(uint8_t x) {                                         \
        const float plain = dlc_widen(x & ((1u << (sign)) - 1u), M, bias);                         \
        return (x >> (sign) & 1) != 0 ? -plain : plain;                                            \
    }                                                                                              \
    static inline uint8_t dlc_cast_f64_##name(double x) {                                          \
        const uint32_t top = (1u << (sign)) - 1u, minus = dlc_negative(x);                         \
        return (uint8_t)(x == x ? minus << (sign) | dlc_narrow(x, M, bias, top, top)               \
                                : (1u - minus) << (sign));                                         \
    }                                                                                              \
    static inline uint8_t dlc_cast_f32_##name(float x) {                                           \
        return dlc_cast_f64_##name((double)x);                                                     \
    }

DLC_CAST_FINITE(f4e2m1, 1, 1, 3)
DLC_CAST_FINITE(f6e2m3, 3, 1, 5)
DLC_CAST_FINITE(f6e3m2, 2, 3, 5)

#define DLC_CAST_BITS(T, name, plain, least, greatest, wrapped)                                    \
    static inline T dlc_cast_##name##_##plain(T x) {                                               \
        return (T)(wrapped);                                                                       \
    }                                                                                              \
    static inline T dlc_cast_f64_##name(double x) {                                                \
        return x >= greatest ? (T)greatest : x <= least ? (T)least : x == x ? (T)x : (T)0;         \
    }                                                                                              \
    static inline T dlc_cast_f32_##name(float x) {                                                 \
        return dlc_cast_f64_##name((double)x);                                                     \
    }                                                                                              \
    static inline T dlc_cast_i32_##name(int32_t x) {                                               \
        return (T)(wrapped);                                                                       \
    }

DLC_CAST_BITS(int8_t, i4, i8, -8, 7, (x & 15) - ((x & 8) << 1))
DLC_CAST_BITS(uint8_t, u4, u8, 0, 15, x & 15)
DLC_CAST_BITS(int8_t, i2, i8, -2, 1, (x & 3) - ((x & 2) << 1))
DLC_CAST_BITS(uint8_t, u2, u8, 0, 3, x & 3)

#endif
