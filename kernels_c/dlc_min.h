/* dlc_min_<type>: the lesser of a and b, for floats and integers.
 *
 * NaN if either is NaN (as numpy.minimum); of +0 and -0 either.
 */
#ifndef DLC_MIN_H
#define DLC_MIN_H

#include <stdint.h>

static inline float dlc_min_f32(float a, float b) {
    const float picked = a < b ? a : b;
    return a != a ? a : picked; /* b is picked when b is NaN */
}

static inline double dlc_min_f64(double a, double b) {
    const double picked = a < b ? a : b;
    return a != a ? a : picked;
}

#define DLC_MIN_INTEGER(T, name)                                                                   \
    static inline T dlc_min_##name(T a, T b) {                                                     \
        return a < b ? a : b;                                                                      \
    }

DLC_MIN_INTEGER(int8_t, i8)
DLC_MIN_INTEGER(int16_t, i16)
DLC_MIN_INTEGER(int32_t, i32)
DLC_MIN_INTEGER(int64_t, i64)
DLC_MIN_INTEGER(uint8_t, u8)
DLC_MIN_INTEGER(uint16_t, u16)
DLC_MIN_INTEGER(uint32_t, u32)
DLC_MIN_INTEGER(uint64_t, u64)

#endif
