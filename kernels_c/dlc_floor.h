/* dlc_floor_f32, dlc_floor_f64: greatest integer not above x; -0, infinities and NaN stay. */
#ifndef DLC_FLOOR_H
#define DLC_FLOOR_H

#include "dlc_bits.h"
#include "dlc_round.h"

static inline float dlc_floor_f32(float x) {
    const float whole = dlc_round_f32(x);
    return whole - dlc_select_f32(whole > x, 1.0f, 0.0f);
}

static inline double dlc_floor_f64(double x) {
    const double whole = dlc_round_f64(x);
    return whole - dlc_select_f64(whole > x, 1.0, 0.0);
}

#endif
