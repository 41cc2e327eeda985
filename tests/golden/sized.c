/* sized: emitted by dlc. This file belongs to the model's user. */
#include "model.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/dlc_sizes.h"
#include "kernels/dlc_status.h"

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

/* slice: f32[N,2] -> f32[(N - floordiv(N, 2)),2] */
static int slice(const float *restrict in0, float *restrict out, ptrdiff_t N) {
    const ptrdiff_t size0 = 2 * (N / 2);
    const ptrdiff_t size1 = dlc_max_size(2 * N - 2 * (N / 2), 0);
    if (N - N / 2 <= -1) {
        return DLC_BAD_SIZE;
    }
    memcpy(out, in0 + size0, (size_t)size1 * sizeof(float));
    return 0;
}

/* map: f32[(2 * N)] -> f32[(2 * N)] */
static void map(const float *restrict in0, float *restrict out, ptrdiff_t N) {
    for (ptrdiff_t i = 0; i < 2 * N; ++i) {
        const float t0 = in0[i];
        out[i] = t0 * t0;
    }
}

/* bind: i64[1] -> */
static int bind(const int64_t *restrict in0, ptrdiff_t *rows_to_keep) {
    const int64_t value = in0[0];
    if (value < 0 || value > 6) {
        return DLC_BAD_SIZE;
    }
    *rows_to_keep = (ptrdiff_t)value;
    return 0;
}

/* slice: f32[N,2] -> f32["rows to keep",2] */
static int slice_2(ptrdiff_t rows_to_keep, ptrdiff_t N) {
    if ((rows_to_keep == 0) + (rows_to_keep - 1 < N) == 0) {
        return DLC_BAD_SIZE;
    }
    return 0;
}

/* concat: f32[(N - floordiv(N, 2)),2], f32["rows to keep",2], f32[N,2] -> f32[("rows to keep" + 2 * N - floordiv(N, 2)),2] */
static void concat(const float *restrict in0, const float *restrict in1, const float *restrict in2,
                   float *restrict out, ptrdiff_t N, ptrdiff_t rows_to_keep) {
    const ptrdiff_t size0 = dlc_max_size(2 * N - 2 * (N / 2), 0);
    const ptrdiff_t size1 = 2 * N - 2 * (N / 2);
    const ptrdiff_t size2 = 2 * rows_to_keep + 2 * N - 2 * (N / 2);
    memcpy(out, in0, (size_t)size0 * sizeof(float));
    memcpy(out + size1, in1, (size_t)(2 * rows_to_keep) * sizeof(float));
    memcpy(out + size2, in2, (size_t)(2 * N) * sizeof(float));
}

int sized_run(const sized_inputs *in, sized_outputs *out, void *arena) {
    unsigned char *const mem = arena;
    ptrdiff_t rows_to_keep = 0;
    int status;
    if (in == NULL ||
        out == NULL ||
        in->x == NULL ||
        in->y == NULL ||
        in->k == NULL ||
        out->z == NULL ||
        mem == NULL) {
        return SIZED_NULL_POINTER;
    }
    if ((uintptr_t)(const void *)in->x % 4 != 0 ||
        (uintptr_t)(const void *)in->y % 4 != 0 ||
        (uintptr_t)(const void *)in->k % sizeof(void *) != 0 ||
        (uintptr_t)(const void *)out->z % 4 != 0 ||
        (uintptr_t)arena % SIZED_ARENA_ALIGN != 0) {
        return SIZED_MISALIGNED;
    }
    if (in->N < 0 || in->N > 6) {
        return SIZED_BAD_SIZE;
    }
    DLC_DEAD(0, 96);

    /* 0: slice: f32[N,2] -> f32[(N - floordiv(N, 2)),2] */
    DLC_STEP(0);
    status = slice(in->x, (float *)mem, in->N);
    if (status != SIZED_OK) {
        return status;
    }

    /* 1: map: f32[(2 * N)] -> f32[(2 * N)] */
    DLC_STEP(1);
    map(in->y, (float *)(mem + 48), in->N);

    /* 2: reshape: f32[(2 * N)] -> f32[N,2]: in place, nothing to do */

    /* 3: bind: i64[1] -> */
    DLC_STEP(3);
    status = bind(in->k, &rows_to_keep);
    if (status != SIZED_OK) {
        return status;
    }

    /* 4: slice: f32[N,2] -> f32["rows to keep",2] */
    DLC_STEP(4);
    status = slice_2(rows_to_keep, in->N);
    if (status != SIZED_OK) {
        return status;
    }

    /* 5: concat: f32[(N - floordiv(N, 2)),2], f32["rows to keep",2], f32[N,2] -> f32[("rows to keep" + 2 * N - floordiv(N, 2)),2] */
    DLC_STEP(5);
    concat((float *)mem, (float *)(mem + 48), in->x, out->z, in->N, rows_to_keep);
    DLC_DEAD(0, 48);
    DLC_DEAD(48, 48);

    DLC_STEP(6);

    /* output z: f32[("rows to keep"<=6 + 2 * N<=6 - floordiv(N<=6, 2)),2] */
    out->z_dims[0] = rows_to_keep + 2 * in->N - in->N / 2;
    out->z_dims[1] = 2;
    return SIZED_OK;
}
