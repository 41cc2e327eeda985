/* dlc_sigmoid_f32, dlc_sigmoid_f64: 1 / (1 + e^-x).
 *
 * Error below 3 ulp, also where the result is denormal. NaN stays NaN.
 * Method: with t = e^-|x|, which cannot overflow: 1 / (1 + t), or t / (1 + t) for negative x.
 */
#ifndef DLC_SIGMOID_H
#define DLC_SIGMOID_H

#include "dlc_bits.h"
#include "dlc_exp.h"

static inline float dlc_sigmoid_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x);
    const float t = dlc_exp_f32(dlc_from_bits_f32(bits | DLC_SIGN_F32));
    return (bits & DLC_SIGN_F32 ? t : 1.0f) / (1.0f + t);
}

static inline double dlc_sigmoid_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x);
    const double t = dlc_exp_f64(dlc_from_bits_f64(bits | DLC_SIGN_F64));
    return (bits & DLC_SIGN_F64 ? t : 1.0) / (1.0 + t);
}

#endif
