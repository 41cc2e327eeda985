/* dlc_tanh_f32, dlc_tanh_f64: hyperbolic tangent.
 *
 * Error below 2.5 ulp. tanh(-0) is -0, NaN stays NaN.
 * Method: with t = 1 - e^(-2|x|), formed without cancellation as (1 - 2^n) - 2^n (e^r - 1), the
 * result is t / (2 - t), times 1 with the sign of x. No branch. (Not "or" in the sign bit: clang 22
 * for AVX-512 loses the quotient when it vectorises that.)
 */
#ifndef DLC_TANH_H
#define DLC_TANH_H

#include "dlc_bits.h"
#include "dlc_exp.h"

static inline float dlc_tanh_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x), magnitude = bits & ~DLC_SIGN_F32;
    /* beyond 10 the result rounds to 1 */
    const float size = dlc_from_bits_f32(magnitude > 0x41200000u ? 0x41200000u : magnitude);
    uint32_t n;
    const float r = dlc_exp_reduce_f32(-2.0f * size, &n);
    const float power = dlc_from_bits_f32((n + 127u) << 23);
    const float t = dlc_fma_f32(-power, r + dlc_exp_tail_f32(r), 1.0f - power);
    const float sign = dlc_from_bits_f32((bits & DLC_SIGN_F32) | 0x3f800000u);
    return dlc_select_f32(magnitude > 0x7f800000u, x, t / (2.0f - t) * sign);
}

static inline double dlc_tanh_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    /* beyond 20 the result rounds to 1 */
    const uint64_t bound = magnitude > 0x4034000000000000u ? 0x4034000000000000u : magnitude;
    uint64_t n;
    const double r = dlc_exp_reduce_f64(-2.0 * dlc_from_bits_f64(bound), &n);
    const double power = dlc_from_bits_f64((n + 1023u) << 52);
    const double t = dlc_fma_f64(-power, r + dlc_exp_tail_f64(r), 1.0 - power);
    const double sign = dlc_from_bits_f64((bits & DLC_SIGN_F64) | 0x3ff0000000000000u);
    return dlc_select_f64(magnitude > 0x7ff0000000000000u, x, t / (2.0 - t) * sign);
}

#endif
