/* small: emitted by dlc. This file belongs to the model's user. */
#include "model.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/dlc_gemm_tile_f32.h"
#include "weights.h"

/* With -DDLC_POISON memory that holds nothing any more is overwritten, so that reading it shows. */
#ifdef DLC_POISON
#define DLC_DEAD(offset, size) memset(mem + (offset), 0xFF, (size))
#else
#define DLC_DEAD(offset, size) ((void)0)
#endif

/* With -DDLC_PROFILE the function dlc_profile, yours to write, is called before each step with its
 * number, and after the last with the number of steps. */
#ifdef DLC_PROFILE
void dlc_profile(int step);
#define DLC_STEP(step) dlc_profile(step)
#else
#define DLC_STEP(step) ((void)0)
#endif

/* contract: f32[2,3], f32[3,4] -> f32[2,4] */
static void contract_fc_relu(const float *restrict in0, const float *restrict in1,
                             float *restrict out) {
    float acc[8];
    dlc_gemm_tile_f32(acc, 2, 4, 3, in0, 3, 1, in1, 4, 1);
    for (ptrdiff_t r = 0; r < 2; ++r) {
        for (ptrdiff_t c = 0; c < 4; ++c) {
            out[r * 4 + c] = acc[r * 4 + c];
        }
    }
}

/* map: f32[2,4] -> f32[2,4] */
static void map(float *restrict out) {
    for (ptrdiff_t i = 0; i < 8; ++i) {
        const float t0 = out[i];
        out[i] = t0 < 0.0f ? 0.0f : t0;
    }
}

/* map: f32[2,4] -> f32[2,4] */
static void map_add(const float *restrict in0, float *restrict out) {
    for (ptrdiff_t i = 0; i < 8; ++i) {
        out[i] = in0[i] * 0.5f;
    }
}

/* map: f32[2,4], f32[2,4] -> f32[2,4] */
static void map_add_2(const float *restrict in0, float *restrict out) {
    for (ptrdiff_t i = 0; i < 8; ++i) {
        out[i] = out[i] + in0[i];
    }
}

/* transpose: f32[2,4] -> f32[4,2] */
static void transpose(const float *restrict in0, float *restrict out) {
    for (ptrdiff_t i = 0; i < 4; ++i) {
        for (ptrdiff_t j = 0; j < 2; ++j) {
            out[i * 2 + j] = in0[i + j * 4];
        }
    }
}

int small_run(const small_inputs *in, small_outputs *out, void *arena) {
    unsigned char *const mem = arena;
    if (in == NULL ||
        out == NULL ||
        in->x == NULL ||
        out->y == NULL ||
        out->x_again == NULL ||
        mem == NULL) {
        return SMALL_NULL_POINTER;
    }
    if ((uintptr_t)(const void *)in->x % 4 != 0 ||
        (uintptr_t)(const void *)out->y % 4 != 0 ||
        (uintptr_t)(const void *)out->x_again % 4 != 0 ||
        (uintptr_t)arena % SMALL_ARENA_ALIGN != 0) {
        return SMALL_MISALIGNED;
    }
    DLC_DEAD(0, 64);

    /* 0: fc+relu; contract: f32[2,3], f32[3,4] -> f32[2,4], 24 MACs */
    DLC_STEP(0);
    contract_fc_relu(in->x, small_fc_weight, (float *)mem);

    /* 1: map: f32[2,4] -> f32[2,4] */
    DLC_STEP(1);
    map((float *)mem);

    /* 2: add; map: f32[2,4] -> f32[2,4] */
    DLC_STEP(2);
    map_add((float *)mem, (float *)(mem + 32));

    /* 3: add; map: f32[2,4], f32[2,4] -> f32[2,4] */
    DLC_STEP(3);
    map_add_2((float *)(mem + 32), (float *)mem);
    DLC_DEAD(32, 32);

    /* 4: transpose: f32[2,4] -> f32[4,2] */
    DLC_STEP(4);
    transpose((float *)mem, out->y);
    DLC_DEAD(0, 32);

    DLC_STEP(5);

    /* output x again: a copy of what lives elsewhere */
    memcpy(out->x_again, in->x, 24);
    return SMALL_OK;
}
