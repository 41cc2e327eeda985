/* dlc_ceil_f32, dlc_ceil_f64: least integer not below x; -0, infinities and NaN stay. */
#ifndef DLC_CEIL_H
#define DLC_CEIL_H

#include "dlc_floor.h"

static inline float dlc_ceil_f32(float x) {
    return -dlc_floor_f32(-x);
}

static inline double dlc_ceil_f64(double x) {
    return -dlc_floor_f64(-x);
}

#endif
