/* dlc_lstm_f32: a long short-term memory layer over a batch of sequences, in one direction.
 *
 * With sums s = x[t] + h r: i = f(s_i + p_i c), k = f(s_k + p_k c) (or with `coupled` 1 - i),
 * c = k c + i g(s_c), o = f(s_o + p_o c), h = o e(c); sums clipped. As dlc_rnn_f32 otherwise:
 * y[t] = h for t < length[n], 0 from there on; h and c hold the state.
 * y  T x N x H;  h, c  N x H;  gates  N x 4H of scratch;  x  T x N x 4H, gates in the order i, o, k
 * (forget), c;  r  H x 4H;  p  3H peepholes in the order i, o, k;  length  N entries, clamped to 0 .. T
 */
#ifndef DLC_LSTM_F32_H
#define DLC_LSTM_F32_H

#include "dlc_gemm_tile_f32.h"
#include "dlc_kernel.h"
#include "dlc_recurrence.h"
#include <stddef.h>
#include <stdint.h>

DLC_KERNEL void dlc_lstm_f32(float *y, float *h, float *c, float *gates, const float *x,
                             const float *r, const float *p, const int32_t *length, ptrdiff_t T,
                             ptrdiff_t N, ptrdiff_t H, ptrdiff_t reverse, ptrdiff_t coupled,
                             float clip, ptrdiff_t f, float fa, float fb, ptrdiff_t g, float ga,
                             float gb, ptrdiff_t e, float ea, float eb) {
    for (ptrdiff_t i = 0; i < T * N * H; i++) {
        y[i] = 0.0f;
    }
    dlc_clear_empty_f32(h, length, N, H);
    dlc_clear_empty_f32(c, length, N, H);
    for (ptrdiff_t s = 0; s < T; s++) {
        dlc_gemm_tile_f32(gates, N, 4 * H, H, h, H, 1, r, 4 * H, 1);
        for (ptrdiff_t n = 0; n < N; n++) {
            const ptrdiff_t steps = dlc_steps(length[n], T), t = reverse ? steps - 1 - s : s;
            if (s >= steps) {
                continue;
            }
            const float *in = x + (t * N + n) * 4 * H, *gate = gates + n * 4 * H;
            float *state = h + n * H, *cell = c + n * H, *out = y + (t * N + n) * H;
            for (ptrdiff_t i = 0; i < H; i++) {
                const float si = in[i] + gate[i] + p[i] * cell[i];
                const float sk = in[2 * H + i] + gate[2 * H + i] + p[2 * H + i] * cell[i];
                const float sc = in[3 * H + i] + gate[3 * H + i];
                const float entry = dlc_activate_f32(f, fa, fb, dlc_clip_f32(si, clip));
                const float keep = dlc_activate_f32(f, fa, fb, dlc_clip_f32(sk, clip));
                const float fresh = dlc_activate_f32(g, ga, gb, dlc_clip_f32(sc, clip));
                cell[i] = (coupled ? 1.0f - entry : keep) * cell[i] + entry * fresh;
                const float so = in[H + i] + gate[H + i] + p[H + i] * cell[i];
                const float exit = dlc_activate_f32(f, fa, fb, dlc_clip_f32(so, clip));
                out[i] = state[i] = exit * dlc_activate_f32(e, ea, eb, cell[i]);
            }
        }
    }
}

#endif
