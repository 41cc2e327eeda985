/* dlc_cast_<from>_<to>: a float to an integer, truncated toward zero.
 *
 * What does not fit becomes the nearest integer that does, NaN becomes 0; C alone leaves both
 * undefined.
 */
#ifndef DLC_CAST_H
#define DLC_CAST_H

#include <stdint.h>

/* high: one more than the highest value, a power of two and so exact */
#define DLC_CAST_FROM(F, from, T, to, lowest, highest, high)                                       \
    static inline T dlc_cast_##from##_##to(F x) {                                                  \
        return x < (F)(lowest) ? (lowest) : x >= (F)(high) ? (highest) : x == x ? (T)x : 0;        \
    }

#define DLC_CAST(T, to, lowest, highest, high)                                                     \
    DLC_CAST_FROM(float, f32, T, to, lowest, highest, high)                                        \
    DLC_CAST_FROM(double, f64, T, to, lowest, highest, high)

DLC_CAST(int8_t, i8, INT8_MIN, INT8_MAX, 128.0)
DLC_CAST(int16_t, i16, INT16_MIN, INT16_MAX, 32768.0)
DLC_CAST(int32_t, i32, INT32_MIN, INT32_MAX, 2147483648.0)
DLC_CAST(int64_t, i64, INT64_MIN, INT64_MAX, 9223372036854775808.0)
DLC_CAST(uint8_t, u8, 0, UINT8_MAX, 256.0)
DLC_CAST(uint16_t, u16, 0, UINT16_MAX, 65536.0)
DLC_CAST(uint32_t, u32, 0, UINT32_MAX, 4294967296.0)
DLC_CAST(uint64_t, u64, 0, UINT64_MAX, 18446744073709551616.0)

#endif
