/* dlc_rnn_f32: a simple recurrent layer over a batch of sequences, in one direction.
 *
 * h = f(clip(x[t] + h r)) for each t < length[n] (reverse: from length[n] - 1 down); y[t] = h, and 0
 * from length[n] on. h holds the initial state, and then the last
 * (0 for a length of 0).
 * y  T x N x H;  h  N x H;  gates  N x H of scratch;  x  T x N x H, the input's part of the sum;
 * r  H x H, row i the weights of h[i];  length  N entries, clamped to 0 .. T
 * f, a, b: the activation, as dlc_activate_f32.
 */
#ifndef DLC_RNN_F32_H
#define DLC_RNN_F32_H

#include "dlc_gemm_tile_f32.h"
#include "dlc_kernel.h"
#include "dlc_recurrence.h"
#include <stddef.h>
#include <stdint.h>

DLC_KERNEL void dlc_rnn_f32(float *y, float *h, float *gates, const float *x, const float *r,
                            const int32_t *length, ptrdiff_t T, ptrdiff_t N, ptrdiff_t H,
                            ptrdiff_t reverse, float clip, ptrdiff_t f, float a, float b) {
    for (ptrdiff_t i = 0; i < T * N * H; i++) {
        y[i] = 0.0f;
    }
    dlc_clear_empty_f32(h, length, N, H);
    for (ptrdiff_t s = 0; s < T; s++) {
        dlc_gemm_tile_f32(gates, N, H, H, h, H, 1, r, H, 1);
        for (ptrdiff_t n = 0; n < N; n++) {
            const ptrdiff_t steps = dlc_steps(length[n], T), t = reverse ? steps - 1 - s : s;
            if (s >= steps) {
                continue;
            }
            const float *in = x + (t * N + n) * H, *gate = gates + n * H;
            float *state = h + n * H, *out = y + (t * N + n) * H;
            for (ptrdiff_t i = 0; i < H; i++) {
                out[i] = state[i] = dlc_activate_f32(f, a, b, dlc_clip_f32(in[i] + gate[i], clip));
            }
        }
    }
}

#endif
