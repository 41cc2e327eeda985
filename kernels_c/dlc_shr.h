/* dlc_shr_<type>: a shifted right by b bits, for integers; the sign is kept.
 *
 * Where b is negative or the width or more: 0, or -1 for a negative a. */
#ifndef DLC_SHR_H
#define DLC_SHR_H

#include <stdint.h>

/* U: the unsigned type of T's width */
#define DLC_SHR_SIGNED(T, U, name, width)                                                          \
    static inline T dlc_shr_##name(T a, T b) {                                                     \
        const U flip = a < 0 ? (U) ~(U)0 : (U)0; /* >> of a negative number is the compiler's */   \
        return (T)((U)b < width ? (U)((U)((U)a ^ flip) >> (U)b) ^ flip : flip);                    \
    }
#define DLC_SHR_UNSIGNED(T, name, width)                                                           \
    static inline T dlc_shr_##name(T a, T b) {                                                     \
        return (T)(b < width ? a >> b : 0);                                                        \
    }

DLC_SHR_SIGNED(int8_t, uint8_t, i8, 8)
DLC_SHR_SIGNED(int16_t, uint16_t, i16, 16)
DLC_SHR_SIGNED(int32_t, uint32_t, i32, 32)
DLC_SHR_SIGNED(int64_t, uint64_t, i64, 64)
DLC_SHR_UNSIGNED(uint8_t, u8, 8)
DLC_SHR_UNSIGNED(uint16_t, u16, 16)
DLC_SHR_UNSIGNED(uint32_t, u32, 32)
DLC_SHR_UNSIGNED(uint64_t, u64, 64)

#endif
