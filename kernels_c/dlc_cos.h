/* dlc_cos_f32, dlc_cos_f64: cosine of x in radians.
 *
 * f32 below 0.51 ulp, f64 below 1 ulp, over the whole range; infinities and NaN give NaN.
 * Method: x modulo pi/2 (dlc_quadrant.h), then a minimax polynomial. f32 computes in double.
 */
#ifndef DLC_COS_H
#define DLC_COS_H

#include "dlc_bits.h"
#include "dlc_quadrant.h"

static inline double dlc_cos_f64(double x) {
    double high, low;
    const unsigned quadrant = dlc_quadrant_f64(x, &high, &low) + 1u;
    const double y = quadrant & 1u ? dlc_cos_near_f64(high, low) : dlc_sin_near_f64(high, low);
    return quadrant & 2u ? -y : y;
}

static inline float dlc_cos_f32(float x) {
    return (float)dlc_cos_f64((double)x);
}

#endif
