/* dlc_log1p_f32, dlc_log1p_f64: log(1 + x) without losing a small x.
 *
 * Error below 2 ulp. log1p(-0) is -0, log1p(-1) -inf, below -1 NaN, log1p(inf) inf.
 * Method: u = 1 + x rounded, log(u) plus the first-order effect (x - (u - 1)) / u of what u lost.
 * No branch.
 */
#ifndef DLC_LOG1P_H
#define DLC_LOG1P_H

#include "dlc_bits.h"
#include "dlc_log.h"

static inline float dlc_log1p_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x), magnitude = bits & ~DLC_SIGN_F32;
    const float u = 1.0f + x, y = dlc_log_f32(u);
    /* u is 0, infinite or NaN where the quotient would be NaN */
    const uint32_t plain = bits == 0xbf800000u || magnitude >= 0x7f800000u;
    const float lost = dlc_select_f32(plain, 0.0f, (x - (u - 1.0f)) / u);
    return dlc_select_f32(magnitude == 0, x, y + lost);
}

static inline double dlc_log1p_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    const double u = 1.0 + x, y = dlc_log_f64(u);
    const uint64_t plain = bits == 0xbff0000000000000u || magnitude >= 0x7ff0000000000000u;
    const double lost = dlc_select_f64(plain, 0.0, (x - (u - 1.0)) / u);
    return dlc_select_f64(magnitude == 0, x, y + lost);
}

#endif
