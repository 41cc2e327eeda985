/* What recurrent layers share: activations by number, clipping, lengths of sequences.
 *
 * 0 Relu, 1 Tanh, 2 Sigmoid, 3 Affine, 4 LeakyRelu, 5 ThresholdedRelu, 6 ScaledTanh, 7 HardSigmoid,
 * 8 Elu, 9 Softsign, 10 Softplus, with a and b as ONNX's alpha and beta. dlc_clip_f32 clamps to
 * [-clip, clip], or nothing when clip is 0. dlc_steps is a sequence's length clamped to 0 .. T.
 * A sequence without a step ends in state 0, as in onnxruntime: dlc_clear_empty_f32.
 */
#ifndef DLC_RECURRENCE_H
#define DLC_RECURRENCE_H

#include "dlc_exp.h"
#include "dlc_log1p.h"
#include "dlc_sigmoid.h"
#include "dlc_tanh.h"
#include <stddef.h>
#include <stdint.h>

static inline float dlc_activate_f32(ptrdiff_t code, float a, float b, float x) {
    const float magnitude = x < 0.0f ? -x : x;
    switch (code) {
    case 0:
        return x < 0.0f ? 0.0f : x;
    case 1:
        return dlc_tanh_f32(x);
    case 2:
        return dlc_sigmoid_f32(x);
    case 3:
        return a * x + b;
    case 4:
        return x < 0.0f ? a * x : x;
    case 5:
        return x > a ? x : 0.0f;
    case 6:
        return a * dlc_tanh_f32(b * x);
    case 7:
        x = a * x + b;
        return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
    case 8:
        return x < 0.0f ? a * (dlc_exp_f32(x) - 1.0f) : x;
    case 9:
        return x / (1.0f + magnitude);
    default:
        return (x < 0.0f ? 0.0f : x) + dlc_log1p_f32(dlc_exp_f32(-magnitude));
    }
}

static inline float dlc_clip_f32(float x, float clip) {
    return clip > 0.0f && x > clip ? clip : clip > 0.0f && x < -clip ? -clip : x;
}

static inline ptrdiff_t dlc_steps(int32_t length, ptrdiff_t T) {
    return length < 0 ? 0 : length < T ? (ptrdiff_t)length : T;
}

/* zeros the states, N x H, of sequences without a step */
static inline void dlc_clear_empty_f32(float *state, const int32_t *length, ptrdiff_t N,
                                       ptrdiff_t H) {
    for (ptrdiff_t i = 0; i < N * H; i++) {
        state[i] = length[i / H] > 0 ? state[i] : 0.0f;
    }
}

#endif
