/* dlc_abs_<type>: magnitude, for floats and integers. Clears the sign of -0 and NaN.
 *
 * The least signed integer wraps to itself.
 */
#ifndef DLC_ABS_H
#define DLC_ABS_H

#include "dlc_bits.h"
#include <stdint.h>

static inline float dlc_abs_f32(float x) {
    return dlc_from_bits_f32(dlc_bits_f32(x) & ~DLC_SIGN_F32);
}

static inline double dlc_abs_f64(double x) {
    return dlc_from_bits_f64(dlc_bits_f64(x) & ~DLC_SIGN_F64);
}

#define DLC_ABS_SIGNED(T, name)                                                                    \
    static inline T dlc_abs_##name(T x) {                                                          \
        return x < 0 ? (T)(0u - (uint64_t)x) : x;                                                  \
    }
#define DLC_ABS_UNSIGNED(T, name)                                                                  \
    static inline T dlc_abs_##name(T x) {                                                          \
        return x;                                                                                  \
    }

DLC_ABS_SIGNED(int8_t, i8)
DLC_ABS_SIGNED(int16_t, i16)
DLC_ABS_SIGNED(int32_t, i32)
DLC_ABS_SIGNED(int64_t, i64)
DLC_ABS_UNSIGNED(uint8_t, u8)
DLC_ABS_UNSIGNED(uint16_t, u16)
DLC_ABS_UNSIGNED(uint32_t, u32)
DLC_ABS_UNSIGNED(uint64_t, u64)

#endif
