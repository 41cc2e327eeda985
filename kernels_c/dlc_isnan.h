/* dlc_isnan_f32, dlc_isnan_f64: whether x is not a number. */
#ifndef DLC_ISNAN_H
#define DLC_ISNAN_H

#include <stdbool.h>

static inline bool dlc_isnan_f32(float x) {
    return x != x;
}

static inline bool dlc_isnan_f64(double x) {
    return x != x;
}

#endif
