/* dlc_eq_string: whether two strings have the same bytes; both end with a NUL. (Numbers use C's ==.) */
#ifndef DLC_EQ_H
#define DLC_EQ_H

#include <stdbool.h>
#include <string.h>

static inline bool dlc_eq_string(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

#endif
