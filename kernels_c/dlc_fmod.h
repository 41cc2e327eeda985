/* dlc_fmod_<type>: remainder of a / b with the sign of a, for floats and integers.
 *
 * Floats: exact; NaN when b is 0 or a infinite; a when b is infinite. A zero has the sign of a.
 * Integers: C's %, but 0 when b is 0 and no trap for the least integer over -1.
 * Method for floats: long division on the mantissas, 11 bits a step; f32 through f64.
 */
#ifndef DLC_FMOD_H
#define DLC_FMOD_H

#include "dlc_bits.h"
#include <stdint.h>

/* mantissa * 2^(e - 1) of a positive number, e at least 1 also for denormals */
static inline uint64_t dlc_split_f64(uint64_t magnitude, int *e) {
    const int exponent = (int)(magnitude >> 52);
    const uint64_t fraction = magnitude & 0x000fffffffffffffu;
    *e = exponent == 0 ? 1 : exponent;
    return exponent == 0 ? fraction : fraction | 0x0010000000000000u;
}

static inline double dlc_fmod_f64(double a, double b) {
    const uint64_t sign = dlc_bits_f64(a) & DLC_SIGN_F64;
    const uint64_t ua = dlc_bits_f64(a) & ~DLC_SIGN_F64, ub = dlc_bits_f64(b) & ~DLC_SIGN_F64;
    if (ub == 0 || ua >= 0x7ff0000000000000u || ub > 0x7ff0000000000000u) {
        return DLC_NAN_F64;
    }
    if (ua < ub) {
        return a;
    }
    int ea, eb;
    uint64_t rest = dlc_split_f64(ua, &ea);
    const uint64_t divisor = dlc_split_f64(ub, &eb);
    rest %= divisor;
    for (int gap = ea - eb; gap > 0; gap -= 11) {
        rest = (rest << (gap < 11 ? gap : 11)) % divisor;
    }
    /* rest * 2^(eb - 1): bring the leading bit to its place, as far as the exponent allows */
    for (; eb > 1 && rest < 0x0010000000000000u && rest != 0; eb--) {
        rest <<= 1;
    }
    const uint64_t normal = (uint64_t)eb << 52 | (rest & 0x000fffffffffffffu);
    return dlc_from_bits_f64(sign | (rest < 0x0010000000000000u ? rest : normal));
}

static inline float dlc_fmod_f32(float a, float b) {
    return (float)dlc_fmod_f64((double)a, (double)b); /* both conversions are exact */
}

#define DLC_FMOD_SIGNED(T, name)                                                                   \
    static inline T dlc_fmod_##name(T a, T b) {                                                    \
        return b == 0 || b == -1 ? (T)0 : (T)(a % b);                                              \
    }
#define DLC_FMOD_UNSIGNED(T, name)                                                                 \
    static inline T dlc_fmod_##name(T a, T b) {                                                    \
        return b == 0 ? (T)0 : (T)(a % b);                                                         \
    }

DLC_FMOD_SIGNED(int8_t, i8)
DLC_FMOD_SIGNED(int16_t, i16)
DLC_FMOD_SIGNED(int32_t, i32)
DLC_FMOD_SIGNED(int64_t, i64)
DLC_FMOD_UNSIGNED(uint8_t, u8)
DLC_FMOD_UNSIGNED(uint16_t, u16)
DLC_FMOD_UNSIGNED(uint32_t, u32)
DLC_FMOD_UNSIGNED(uint64_t, u64)

#endif
