/* dlc_div_<type>: integer quotient, truncated toward zero (floats divide with C's /).
 *
 * A zero divisor gives 0; the least integer over -1 wraps to itself.
 */
#ifndef DLC_DIV_H
#define DLC_DIV_H

#include <stdint.h>

#define DLC_DIV_SIGNED(T, name)                                                                    \
    static inline T dlc_div_##name(T a, T b) {                                                     \
        return b == 0 ? (T)0 : b == -1 ? (T)(0u - (uint64_t)a) : (T)(a / b);                       \
    }
#define DLC_DIV_UNSIGNED(T, name)                                                                  \
    static inline T dlc_div_##name(T a, T b) {                                                     \
        return b == 0 ? (T)0 : (T)(a / b);                                                         \
    }

DLC_DIV_SIGNED(int8_t, i8)
DLC_DIV_SIGNED(int16_t, i16)
DLC_DIV_SIGNED(int32_t, i32)
DLC_DIV_SIGNED(int64_t, i64)
DLC_DIV_UNSIGNED(uint8_t, u8)
DLC_DIV_UNSIGNED(uint16_t, u16)
DLC_DIV_UNSIGNED(uint32_t, u32)
DLC_DIV_UNSIGNED(uint64_t, u64)

#endif
