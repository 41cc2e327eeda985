/* dlc_sign_<type>: -1, 0 or 1, for floats and integers. NaN stays NaN; the sign of -0 is 0. */
#ifndef DLC_SIGN_H
#define DLC_SIGN_H

#include <stdint.h>

static inline float dlc_sign_f32(float x) {
    const float sign = (x > 0.0f ? 1.0f : 0.0f) - (x < 0.0f ? 1.0f : 0.0f);
    return x != x ? x : sign;
}

static inline double dlc_sign_f64(double x) {
    const double sign = (x > 0.0 ? 1.0 : 0.0) - (x < 0.0 ? 1.0 : 0.0);
    return x != x ? x : sign;
}

#define DLC_SIGN_SIGNED(T, name)                                                                   \
    static inline T dlc_sign_##name(T x) {                                                         \
        return (T)((x > 0) - (x < 0));                                                             \
    }
#define DLC_SIGN_UNSIGNED(T, name)                                                                 \
    static inline T dlc_sign_##name(T x) {                                                         \
        return (T)(x > 0);                                                                         \
    }

DLC_SIGN_SIGNED(int8_t, i8)
DLC_SIGN_SIGNED(int16_t, i16)
DLC_SIGN_SIGNED(int32_t, i32)
DLC_SIGN_SIGNED(int64_t, i64)
DLC_SIGN_UNSIGNED(uint8_t, u8)
DLC_SIGN_UNSIGNED(uint16_t, u16)
DLC_SIGN_UNSIGNED(uint32_t, u32)
DLC_SIGN_UNSIGNED(uint64_t, u64)

#endif
