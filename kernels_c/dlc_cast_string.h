/* dlc_cast_string_<type>: the number that a string begins with, as strtod of the C library reads it; 0 if none.
 *
 * f64 and f32: rounded once; inf, infinity and nan in any case are themselves, what is too large is
 * infinite. i64 and u64: strtoll and strtoull, saturated, where the number ends after its digits;
 * else the f64, truncated and saturated, NaN 0. A program that sets another locale than "C" changes
 * the decimal point.
 */
#ifndef DLC_CAST_STRING_H
#define DLC_CAST_STRING_H

#include "dlc_cast.h"
#include <stdint.h>
#include <stdlib.h>

static inline double dlc_cast_string_f64(const char *x) {
    return strtod(x, NULL);
}

static inline float dlc_cast_string_f32(const char *x) {
    return strtof(x, NULL);
}

static inline int64_t dlc_cast_string_i64(const char *x) {
    char *end;
    const int64_t whole = strtoll(x, &end, 10);
    return *end == '\0' ? whole : dlc_cast_f64_i64(strtod(x, NULL));
}

static inline uint64_t dlc_cast_string_u64(const char *x) {
    char *end;
    const uint64_t whole = strtoull(x, &end, 10);
    return *end == '\0' ? whole : dlc_cast_f64_u64(strtod(x, NULL));
}

#endif
