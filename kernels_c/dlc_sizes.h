/* dlc_floordiv, dlc_max_size, dlc_min_size: arithmetic of sizes that are known at run time.
 *
 * dlc_floordiv(a, b)  a / b rounded down, whatever the signs; 0 where b is 0. The least ptrdiff_t is
 *                     not divided by -1.
 * dlc_max_size, dlc_min_size  the greater and the less of two
 */
#ifndef DLC_SIZES_H
#define DLC_SIZES_H

#include <stddef.h>

static inline ptrdiff_t dlc_floordiv(ptrdiff_t a, ptrdiff_t b) {
    if (b == 0) {
        return 0;
    }
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline ptrdiff_t dlc_max_size(ptrdiff_t a, ptrdiff_t b) {
    return a > b ? a : b;
}

static inline ptrdiff_t dlc_min_size(ptrdiff_t a, ptrdiff_t b) {
    return a < b ? a : b;
}

#endif
