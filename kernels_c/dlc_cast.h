/* dlc_cast_<float>_<integer>: a float as an integer, truncated toward zero.
 *
 * What does not fit becomes the nearest value that does, and NaN 0; C leaves both undefined.
 */
#ifndef DLC_CAST_H
#define DLC_CAST_H

#include <stdint.h>

/* end: the power of two one above the greatest value */
#define DLC_CAST_SIGNED(F, from, T, to, least, greatest, end)                                      \
    static inline T dlc_cast_##from##_##to(F x) {                                                  \
        return x >= end ? greatest : x < -end ? least : x == x ? (T)x : (T)0;                      \
    }
#define DLC_CAST_UNSIGNED(F, from, T, to, greatest, end)                                           \
    static inline T dlc_cast_##from##_##to(F x) {                                                  \
        return x >= end ? greatest : x > (F)0 ? (T)x : (T)0;                                       \
    }

DLC_CAST_SIGNED(float, f32, int8_t, i8, INT8_MIN, INT8_MAX, 0x1p7f)
DLC_CAST_SIGNED(float, f32, int16_t, i16, INT16_MIN, INT16_MAX, 0x1p15f)
DLC_CAST_SIGNED(float, f32, int32_t, i32, INT32_MIN, INT32_MAX, 0x1p31f)
DLC_CAST_SIGNED(float, f32, int64_t, i64, INT64_MIN, INT64_MAX, 0x1p63f)
DLC_CAST_UNSIGNED(float, f32, uint8_t, u8, UINT8_MAX, 0x1p8f)
DLC_CAST_UNSIGNED(float, f32, uint16_t, u16, UINT16_MAX, 0x1p16f)
DLC_CAST_UNSIGNED(float, f32, uint32_t, u32, UINT32_MAX, 0x1p32f)
DLC_CAST_UNSIGNED(float, f32, uint64_t, u64, UINT64_MAX, 0x1p64f)
DLC_CAST_SIGNED(double, f64, int8_t, i8, INT8_MIN, INT8_MAX, 0x1p7)
DLC_CAST_SIGNED(double, f64, int16_t, i16, INT16_MIN, INT16_MAX, 0x1p15)
DLC_CAST_SIGNED(double, f64, int32_t, i32, INT32_MIN, INT32_MAX, 0x1p31)
DLC_CAST_SIGNED(double, f64, int64_t, i64, INT64_MIN, INT64_MAX, 0x1p63)
DLC_CAST_UNSIGNED(double, f64, uint8_t, u8, UINT8_MAX, 0x1p8)
DLC_CAST_UNSIGNED(double, f64, uint16_t, u16, UINT16_MAX, 0x1p16)
DLC_CAST_UNSIGNED(double, f64, uint32_t, u32, UINT32_MAX, 0x1p32)
DLC_CAST_UNSIGNED(double, f64, uint64_t, u64, UINT64_MAX, 0x1p64)

#endif
