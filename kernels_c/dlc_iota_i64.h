/* dlc_iota_i64: the numbers from 0 on.
 *
 * y[i] = i for i < count; count at least 0.
 */
#ifndef DLC_IOTA_I64_H
#define DLC_IOTA_I64_H

#include <stddef.h>
#include <stdint.h>

static inline void dlc_iota_i64(int64_t *y, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) {
        y[i] = i;
    }
}

#endif
