/* dlc_shl_<type>: a shifted left by b bits, for integers; 0 where b is negative or the width or more. */
#ifndef DLC_SHL_H
#define DLC_SHL_H

#include <stdint.h>

/* U: the unsigned type of T's width */
#define DLC_SHL(T, U, name, width)                                                                 \
    static inline T dlc_shl_##name(T a, T b) {                                                     \
        return (T)((U)b < width ? (U)((uint64_t)(U)a << (U)b) : (U)0);                             \
    }

DLC_SHL(int8_t, uint8_t, i8, 8)
DLC_SHL(int16_t, uint16_t, i16, 16)
DLC_SHL(int32_t, uint32_t, i32, 32)
DLC_SHL(int64_t, uint64_t, i64, 64)
DLC_SHL(uint8_t, uint8_t, u8, 8)
DLC_SHL(uint16_t, uint16_t, u16, 16)
DLC_SHL(uint32_t, uint32_t, u32, 32)
DLC_SHL(uint64_t, uint64_t, u64, 64)

#endif
