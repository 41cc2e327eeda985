/* dlc_log_f32, dlc_log_f64: natural logarithm.
 *
 * Error below 1.5 ulp, denormals included. log(0) is -inf, log(inf) inf, log of a negative NaN.
 * Method: x = 2^e m with m in sqrt(1/2)..sqrt(2), f = m - 1, s = f / (2 + f); then
 * log(m) = f - f^2/2 + s (f^2/2 + R(s^2)), R a minimax polynomial of log((1+s)/(1-s))/s - 2.
 * No branch.
 */
#ifndef DLC_LOG_H
#define DLC_LOG_H

#include "dlc_bits.h"
#include "dlc_fma.h"

static inline float dlc_log_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x);
    const uint32_t small = bits < 0x00800000u;
    const float normal = x * dlc_select_f32(small, 0x1p23f, 1.0f);
    const uint32_t shifted = dlc_bits_f32(normal) + (0x3f800000u - 0x3f3504f3u);
    const float e = (float)((int32_t)((shifted >> 23) & 0xffu) - 127 - 23 * (int32_t)small);
    const float f = dlc_from_bits_f32((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    const float s = f / (2.0f + f), z = s * s, square = 0.5f * f * f;
    float p = 0x1.e30546p-3f;
    p = dlc_fma_f32(p, z, 0x1.24387ap-2f);
    p = dlc_fma_f32(p, z, 0x1.999a7cp-2f);
    p = dlc_fma_f32(p, z, 0x1.555554p-1f);
    const float low = dlc_fma_f32(s, square + z * p, e * 0x1.7f7d1cp-20f);
    const float y = dlc_fma_f32(e, 0x1.62e4p-1f, f - (square - low));
    const float special = dlc_select_f32(bits == 0x7f800000u, x, DLC_NAN_F32);
    const float not_zero = dlc_select_f32(bits >= 0x7f800000u, special, y);
    return dlc_select_f32((bits & ~DLC_SIGN_F32) == 0, -DLC_INFINITY_F32, not_zero);
}

static inline double dlc_log_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x);
    const uint64_t small = bits < 0x0010000000000000u;
    const double normal = x * dlc_select_f64(small, 0x1p52, 1.0);
    const uint64_t shifted = dlc_bits_f64(normal) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    const double e = (double)((int32_t)((shifted >> 52) & 0x7ffu) - 1023 - 52 * (int32_t)small);
    const double f = dlc_from_bits_f64((shifted & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1.0;
    const double s = f / (2.0 + f), z = s * s, square = 0.5 * f * f;
    double p = 0x1.2f15bc193a890p-3;
    p = dlc_fma_f64(p, z, 0x1.39a02ee079ea1p-3);
    p = dlc_fma_f64(p, z, 0x1.74664d767e405p-3);
    p = dlc_fma_f64(p, z, 0x1.c71c51c66ec5bp-3);
    p = dlc_fma_f64(p, z, 0x1.249249423e4eap-2);
    p = dlc_fma_f64(p, z, 0x1.999999997f8a8p-2);
    p = dlc_fma_f64(p, z, 0x1.5555555555593p-1);
    const double low = dlc_fma_f64(s, square + z * p, e * 0x1.a39ef35793c76p-33);
    const double y = dlc_fma_f64(e, 0x1.62e42feep-1, f - (square - low));
    const double special = dlc_select_f64(bits == 0x7ff0000000000000u, x, DLC_NAN_F64);
    const double not_zero = dlc_select_f64(bits >= 0x7ff0000000000000u, special, y);
    return dlc_select_f64((bits & ~DLC_SIGN_F64) == 0, -DLC_INFINITY_F64, not_zero);
}

#endif
