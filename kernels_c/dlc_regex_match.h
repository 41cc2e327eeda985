/* dlc_regex_match: y[i] is whether an automaton accepts the bytes of x[i], up to its NUL.
 *
 * It starts in state 0, next[state * kinds + kind[byte]] follows, accepts[state] says which end well.
 * kind: 256 values below kinds; next: states x kinds numbers of states
 */
#ifndef DLC_REGEX_MATCH_H
#define DLC_REGEX_MATCH_H

#include <stddef.h>
#include <stdint.h>

static inline void dlc_regex_match(uint8_t *y, const char *const *x, const uint8_t *kind,
                                   const uint16_t *next, const uint8_t *accepts, ptrdiff_t kinds,
                                   ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) {
        ptrdiff_t state = 0;
        for (const char *at = x[i]; *at != '\0'; at++) {
            state = next[state * kinds + kind[(unsigned char)*at]];
        }
        y[i] = accepts[state];
    }
}

#endif
