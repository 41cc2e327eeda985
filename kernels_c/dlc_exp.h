/* dlc_exp_f32, dlc_exp_f64: e to the power x.
 *
 * Error below 1 ulp, denormal results included. exp(inf) is inf, exp(-inf) 0, exp(NaN) NaN.
 * Method: x = n ln 2 + r with |r| <= ln 2 / 2 (ln 2 in two parts, Cody and Waite), a minimax
 * polynomial for e^r, and a scale by 2^n in two factors so that the result may overflow or be
 * denormal. No branch.
 */
#ifndef DLC_EXP_H
#define DLC_EXP_H

#include "dlc_bits.h"
#include "dlc_fma.h"

/* e^r - 1 - r for |r| <= ln 2 / 2 */
static inline float dlc_exp_tail_f32(float r) {
    float p = 0x1.a1a2e2p-13f;
    p = dlc_fma_f32(p, r, 0x1.6d75dap-10f);
    p = dlc_fma_f32(p, r, 0x1.11108ep-7f);
    p = dlc_fma_f32(p, r, 0x1.5554acp-5f);
    p = dlc_fma_f32(p, r, 0x1.555556p-3f);
    p = dlc_fma_f32(p, r, 0.5f);
    return p * (r * r);
}

static inline double dlc_exp_tail_f64(double r) {
    double p = 0x1.61e684ae7ef3dp-33;
    p = dlc_fma_f64(p, r, 0x1.1f8bd5b86ef97p-29);
    p = dlc_fma_f64(p, r, 0x1.ae64116b9fdd7p-26);
    p = dlc_fma_f64(p, r, 0x1.27e4cbc27a1cap-22);
    p = dlc_fma_f64(p, r, 0x1.71de3a61a9c02p-19);
    p = dlc_fma_f64(p, r, 0x1.a01a01ade6717p-16);
    p = dlc_fma_f64(p, r, 0x1.a01a01a017c6bp-13);
    p = dlc_fma_f64(p, r, 0x1.6c16c16c14d11p-10);
    p = dlc_fma_f64(p, r, 0x1.1111111111114p-7);
    p = dlc_fma_f64(p, r, 0x1.5555555555559p-5);
    p = dlc_fma_f64(p, r, 0x1.5555555555555p-3);
    p = dlc_fma_f64(p, r, 0.5);
    return p * (r * r);
}

/* x = n ln 2 + r; returns r, and n (modulo 2^32) in *n. |x| at most 2^20. */
static inline float dlc_exp_reduce_f32(float x, uint32_t *n) {
    const float magic = 0x1.8p23f; /* adding it rounds to an integer, held in the low bits */
    const float k = dlc_fma_f32(x, 0x1.715476p0f, magic);
    const float whole = k - magic;
    *n = dlc_bits_f32(k) - 0x4b400000u;
    return dlc_fma_f32(-whole, 0x1.7f7d1cp-20f, dlc_fma_f32(-whole, 0x1.62e4p-1f, x));
}

static inline double dlc_exp_reduce_f64(double x, uint64_t *n) {
    const double magic = 0x1.8p52;
    const double k = dlc_fma_f64(x, 0x1.71547652b82fep0, magic);
    const double whole = k - magic;
    *n = dlc_bits_f64(k) - 0x4338000000000000u;
    return dlc_fma_f64(-whole, 0x1.a39ef35793c76p-33, dlc_fma_f64(-whole, 0x1.62e42feep-1, x));
}

/* y * 2^n for |n| <= 250 (f32), 2000 (f64) */
static inline float dlc_scale_f32(float y, uint32_t n) {
    const uint32_t half = ((n + 1024u) >> 1) - 512u;
    return y * dlc_from_bits_f32((half + 127u) << 23) * dlc_from_bits_f32((n - half + 127u) << 23);
}

static inline double dlc_scale_f64(double y, uint64_t n) {
    const uint64_t half = ((n + 4096u) >> 1) - 2048u;
    return y * dlc_from_bits_f64((half + 1023u) << 52) *
           dlc_from_bits_f64((n - half + 1023u) << 52);
}

static inline float dlc_exp_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x), magnitude = bits & ~DLC_SIGN_F32;
    /* beyond 104 the result is 0 or infinite */
    const uint32_t bound = magnitude > 0x42d00000u ? 0x42d00000u : magnitude;
    uint32_t n;
    const float r = dlc_exp_reduce_f32(dlc_from_bits_f32(bound | (bits & DLC_SIGN_F32)), &n);
    const float y = dlc_scale_f32(1.0f + (r + dlc_exp_tail_f32(r)), n);
    return dlc_select_f32(magnitude > 0x7f800000u, x, y);
}

static inline double dlc_exp_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    /* beyond 746 the result is 0 or infinite */
    const uint64_t bound = magnitude > 0x4087500000000000u ? 0x4087500000000000u : magnitude;
    uint64_t n;
    const double r = dlc_exp_reduce_f64(dlc_from_bits_f64(bound | (bits & DLC_SIGN_F64)), &n);
    const double y = dlc_scale_f64(1.0 + (r + dlc_exp_tail_f64(r)), n);
    return dlc_select_f64(magnitude > 0x7ff0000000000000u, x, y);
}

#endif
