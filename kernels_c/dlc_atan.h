/* dlc_atan_f32, dlc_atan_f64: arc tangent, in radians.
 *
 * Error below 2 ulp. atan(-0) is -0, of infinities +-pi/2; NaN stays NaN.
 * Method: |x| above tan(3 pi/8) becomes -1/x, above tan(pi/8) (x-1)/(x+1), with pi/2 or pi/4 in two
 * parts added after an odd minimax polynomial. One division, no branch.
 */
#ifndef DLC_ATAN_H
#define DLC_ATAN_H

#include "dlc_bits.h"
#include "dlc_fma.h"

static inline float dlc_atan_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x), magnitude = bits & ~DLC_SIGN_F32;
    const float size = dlc_from_bits_f32(magnitude);
    const uint32_t huge = magnitude > 0x401a827au, big = magnitude > 0x3ed413cdu;
    const float above = dlc_select_f32(huge, -1.0f, dlc_select_f32(big, size - 1.0f, size));
    const float below = dlc_select_f32(huge, size, dlc_select_f32(big, size + 1.0f, 1.0f));
    const float t = above / below, z = t * t;
    const float turn =
        dlc_select_f32(huge, 0x1.921fb6p0f, dlc_select_f32(big, 0x1.921fb6p-1f, 0.0f));
    const float turn_low =
        dlc_select_f32(huge, -0x1.777a5cp-25f, dlc_select_f32(big, -0x1.777a5cp-26f, 0.0f));
    float p = -0x1.f1faa8p-5f;
    p = dlc_fma_f32(p, z, 0x1.b1f0fep-4f);
    p = dlc_fma_f32(p, z, -0x1.23b5a2p-3f);
    p = dlc_fma_f32(p, z, 0x1.9991a0p-3f);
    p = dlc_fma_f32(p, z, -0x1.55554ap-2f);
    const float y = turn + (dlc_fma_f32(z * t, p, turn_low) + t);
    return dlc_select_f32(magnitude > 0x7f800000u, x,
                          dlc_from_bits_f32(dlc_bits_f32(y) | (bits & DLC_SIGN_F32)));
}

static inline double dlc_atan_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    const double size = dlc_from_bits_f64(magnitude);
    const uint64_t huge = magnitude > 0x4003504f333f9de6u, big = magnitude > 0x3fda827999fcef34u;
    const double above = dlc_select_f64(huge, -1.0, dlc_select_f64(big, size - 1.0, size));
    const double below = dlc_select_f64(huge, size, dlc_select_f64(big, size + 1.0, 1.0));
    const double t = above / below, z = t * t;
    const double turn =
        dlc_select_f64(huge, 0x1.921fb54442d18p0, dlc_select_f64(big, 0x1.921fb54442d18p-1, 0.0));
    const double turn_low = dlc_select_f64(huge, 0x1.1a62633145c07p-54,
                                           dlc_select_f64(big, 0x1.1a62633145c07p-55, 0.0));
    double p = 0x1.f1788bb3a4db0p-7;
    p = dlc_fma_f64(p, z, -0x1.121d2b77248dcp-5);
    p = dlc_fma_f64(p, z, 0x1.70e25cf74d329p-5);
    p = dlc_fma_f64(p, z, -0x1.ab7af4622358bp-5);
    p = dlc_fma_f64(p, z, 0x1.e171a1034531fp-5);
    p = dlc_fma_f64(p, z, -0x1.110c6e52b432dp-4);
    p = dlc_fma_f64(p, z, 0x1.3b136de787880p-4);
    p = dlc_fma_f64(p, z, -0x1.745d14b70437bp-4);
    p = dlc_fma_f64(p, z, 0x1.c71c71b73a94bp-4);
    p = dlc_fma_f64(p, z, -0x1.2492492475562p-3);
    p = dlc_fma_f64(p, z, 0x1.999999999964ap-3);
    p = dlc_fma_f64(p, z, -0x1.5555555555554p-2);
    const double y = turn + (dlc_fma_f64(z * t, p, turn_low) + t);
    return dlc_select_f64(magnitude > 0x7ff0000000000000u, x,
                          dlc_from_bits_f64(dlc_bits_f64(y) | (bits & DLC_SIGN_F64)));
}

#endif
