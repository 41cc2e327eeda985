/* dlc_random_u32: random bits by counting, Philox4x32-10 (Salmon et al. 2011, Random123).
 *
 * y     count numbers; y[i] is word i % 4 of the block whose counter is i / 4 (64 bits, above 0)
 * low, high   the halves of the key; equal keys give equal numbers, whatever the machine
 */
#ifndef DLC_RANDOM_U32_H
#define DLC_RANDOM_U32_H

#include <stddef.h>
#include <stdint.h>

static inline void dlc_philox(uint32_t *c, uint32_t low, uint32_t high) {
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ low;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ high;
        c[3] = (uint32_t)a;
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
}

static inline void dlc_random_u32(uint32_t *y, uint32_t low, uint32_t high, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += 4) {
        const uint64_t block = (uint64_t)i / 4;
        uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
        dlc_philox(c, low, high);
        for (ptrdiff_t j = 0; j < 4 && i + j < count; j++) {
            y[i + j] = c[j];
        }
    }
}

#endif
