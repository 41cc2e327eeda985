/* dlc_copy_bytes: y[i] = x[i] for i < count, whatever the types that the bytes are of. */
#ifndef DLC_COPY_BYTES_H
#define DLC_COPY_BYTES_H

#include <stddef.h>
#include <string.h>

static inline void dlc_copy_bytes(unsigned char *y, const unsigned char *x, ptrdiff_t count) {
    memcpy(y, x, (size_t)count);
}

#endif
