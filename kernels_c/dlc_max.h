/* dlc_max_<type>: the greater of a and b, for floats and integers.
 *
 * NaN if either is NaN (as numpy.maximum); of +0 and -0 either.
 */
#ifndef DLC_MAX_H
#define DLC_MAX_H

#include <stdint.h>

static inline float dlc_max_f32(float a, float b) {
    const float picked = a > b ? a : b;
    return a != a ? a : picked; /* b is picked when b is NaN */
}

static inline double dlc_max_f64(double a, double b) {
    const double picked = a > b ? a : b;
    return a != a ? a : picked;
}

#define DLC_MAX_INTEGER(T, name)                                                                   \
    static inline T dlc_max_##name(T a, T b) {                                                     \
        return a > b ? a : b;                                                                      \
    }

DLC_MAX_INTEGER(int8_t, i8)
DLC_MAX_INTEGER(int16_t, i16)
DLC_MAX_INTEGER(int32_t, i32)
DLC_MAX_INTEGER(int64_t, i64)
DLC_MAX_INTEGER(uint8_t, u8)
DLC_MAX_INTEGER(uint16_t, u16)
DLC_MAX_INTEGER(uint32_t, u32)
DLC_MAX_INTEGER(uint64_t, u64)

#endif
