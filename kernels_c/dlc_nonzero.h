/* dlc_nonzero: positions of the bytes that are not 0, in order.
 *
 * index  room for size positions;  *count  how many were stored;  x  size bytes
 */
#ifndef DLC_NONZERO_H
#define DLC_NONZERO_H

#include <stddef.h>
#include <stdint.h>

static inline void dlc_nonzero(int64_t *index, ptrdiff_t *count, const unsigned char *x,
                               ptrdiff_t size) {
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < size; i++) {
        if (x[i]) {
            index[found++] = i;
        }
    }
    *count = found;
}

#endif
