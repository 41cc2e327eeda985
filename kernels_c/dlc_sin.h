/* dlc_sin_f32, dlc_sin_f64: sine of x in radians.
 *
 * f32 below 0.51 ulp, f64 below 1 ulp, over the whole range; infinities and NaN give NaN.
 * Method: x modulo pi/2 (dlc_quadrant.h), then a minimax polynomial. f32 computes in double.
 */
#ifndef DLC_SIN_H
#define DLC_SIN_H

#include "dlc_bits.h"
#include "dlc_quadrant.h"

static inline double dlc_sin_f64(double x) {
    double high, low;
    const unsigned quadrant = dlc_quadrant_f64(x, &high, &low);
    const double y = quadrant & 1u ? dlc_cos_near_f64(high, low) : dlc_sin_near_f64(high, low);
    return x == 0.0 ? x : quadrant & 2u ? -y : y;
}

static inline float dlc_sin_f32(float x) {
    return (float)dlc_sin_f64((double)x);
}

#endif
