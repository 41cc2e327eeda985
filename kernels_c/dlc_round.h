/* dlc_round_f32, dlc_round_f64: nearest integer, ties to even; the sign of zero and NaN stay.
 *
 * Method: adding and taking away 2^23 (2^52) leaves no bits for a fraction.
 */
#ifndef DLC_ROUND_H
#define DLC_ROUND_H

#include "dlc_bits.h"

static inline float dlc_round_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x), magnitude = bits & ~DLC_SIGN_F32;
    const float whole = (dlc_from_bits_f32(magnitude) + 0x1p23f) - 0x1p23f;
    const float kept = dlc_select_f32(magnitude < 0x4b000000u, whole, x);
    return dlc_from_bits_f32(dlc_bits_f32(kept) | (bits & DLC_SIGN_F32));
}

static inline double dlc_round_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    const double whole = (dlc_from_bits_f64(magnitude) + 0x1p52) - 0x1p52;
    const double kept = dlc_select_f64(magnitude < 0x4330000000000000u, whole, x);
    return dlc_from_bits_f64(dlc_bits_f64(kept) | (bits & DLC_SIGN_F64));
}

#endif
