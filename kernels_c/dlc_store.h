/* dlc_store_<type>: one element takes the value of a size.
 *
 * *y = value, converted to the type.
 */
#ifndef DLC_STORE_H
#define DLC_STORE_H

#include <stddef.h>
#include <stdint.h>

#define DLC_STORE(T, name)                                                                         \
    static inline void dlc_store_##name(T *y, ptrdiff_t value) {                                   \
        *y = (T)value;                                                                             \
    }

DLC_STORE(float, f32)
DLC_STORE(double, f64)
DLC_STORE(int32_t, i32)
DLC_STORE(int64_t, i64)
DLC_STORE(unsigned char, bool)

#endif
