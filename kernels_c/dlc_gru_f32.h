/* dlc_gru_f32: a gated recurrent layer (GRU) over a batch of sequences, in one direction.
 *
 * z = f(x_z + h r_z), u = f(x_u + h r_u), c = g(x_c + (u h) r_c), or with `after` (ONNX's
 * linear_before_reset) c = g(x_c + u (h r_c + bias)); h = (1 - z) c + z h; sums clipped. As
 * dlc_rnn_f32 otherwise: y[t] = h for t < length[n], 0 from there on; h holds the state.
 * y  T x N x H;  h  N x H;  gates  N x 4H of scratch;  x  T x N x 3H, gates in the order z, u, c;
 * r  H x 3H;  bias  H, read with `after` only;  length  N entries, clamped to 0 .. T
 */
#ifndef DLC_GRU_F32_H
#define DLC_GRU_F32_H

#include "dlc_gemm_tile_f32.h"
#include "dlc_kernel.h"
#include "dlc_recurrence.h"
#include <stddef.h>
#include <stdint.h>

DLC_KERNEL void dlc_gru_f32(float *y, float *h, float *gates, const float *x, const float *r,
                            const float *bias, const int32_t *length, ptrdiff_t T, ptrdiff_t N,
                            ptrdiff_t H, ptrdiff_t reverse, ptrdiff_t after, float clip,
                            ptrdiff_t f, float fa, float fb, ptrdiff_t g, float ga, float gb) {
    float *reset = gates + N * 3 * H; /* u h, then z in the first third of gates */
    for (ptrdiff_t i = 0; i < T * N * H; i++) {
        y[i] = 0.0f;
    }
    dlc_clear_empty_f32(h, length, N, H);
    for (ptrdiff_t s = 0; s < T; s++) {
        dlc_gemm_tile_f32(gates, N, 3 * H, H, h, H, 1, r, 3 * H, 1);
        for (ptrdiff_t n = 0; n < N; n++) {
            const ptrdiff_t steps = dlc_steps(length[n], T), t = reverse ? steps - 1 - s : s;
            const float *in = x + ((s < steps ? t : 0) * N + n) * 3 * H;
            float *gate = gates + n * 3 * H;
            for (ptrdiff_t i = 0; i < H; i++) {
                gate[i] = dlc_activate_f32(f, fa, fb, dlc_clip_f32(in[i] + gate[i], clip));
                const float sum = in[H + i] + gate[H + i];
                const float u = dlc_activate_f32(f, fa, fb, dlc_clip_f32(sum, clip));
                gate[2 * H + i] = after ? u * (gate[2 * H + i] + bias[i]) : 0.0f;
                reset[n * H + i] = u * h[n * H + i];
            }
        }
        for (ptrdiff_t n = 0; n < N; n++) {
            const ptrdiff_t steps = dlc_steps(length[n], T), t = reverse ? steps - 1 - s : s;
            if (s >= steps) {
                continue;
            }
            const float *in = x + (t * N + n) * 3 * H + 2 * H;
            float *gate = gates + n * 3 * H, *state = h + n * H, *out = y + (t * N + n) * H;
            if (!after) { /* z stays where it is, the candidate's sum takes the place of u's */
                dlc_gemm_tile_f32(gate + 2 * H, 1, H, H, reset + n * H, H, 1, r + 2 * H, 3 * H, 1);
            }
            for (ptrdiff_t i = 0; i < H; i++) {
                const float sum = dlc_clip_f32(in[i] + gate[2 * H + i], clip);
                const float c = dlc_activate_f32(g, ga, gb, sum);
                out[i] = state[i] = (1.0f - gate[i]) * c + gate[i] * state[i];
            }
        }
    }
}

#endif
