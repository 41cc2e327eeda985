/* dlc_gather_i32: y[o][i][:] = x[o][index[i]][:], in rows of inner_bytes bytes.
 *
 * y      outer x count x inner_bytes;  x  outer x axis x inner_bytes;  no overlap
 * index  count positions along the axis; negative ones count from its end
 * Returns 0, or DLC_BAD_INDEX when a position is out of range; then nothing is read or written.
 */
#ifndef DLC_GATHER_I32_H
#define DLC_GATHER_I32_H

#include "dlc_status.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline int dlc_gather_i32(unsigned char *y, const unsigned char *x, const int32_t *index,
                                 ptrdiff_t outer, ptrdiff_t axis, ptrdiff_t inner_bytes,
                                 ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) {
        if (index[i] < -axis || index[i] >= axis) {
            return DLC_BAD_INDEX;
        }
    }
    for (ptrdiff_t o = 0; o < outer; o++, x += axis * inner_bytes) {
        for (ptrdiff_t i = 0; i < count; i++, y += inner_bytes) {
            const ptrdiff_t at = (ptrdiff_t)index[i] + (index[i] < 0 ? axis : 0);
            memcpy(y, x + at * inner_bytes, (size_t)inner_bytes);
        }
    }
    return 0;
}

#endif
