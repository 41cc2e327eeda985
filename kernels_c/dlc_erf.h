/* dlc_erf_f32, dlc_erf_f64: error function.
 *
 * Error below 1.5 ulp. erf(-0) is -0, NaN stays NaN.
 * Method: below 0.92 x + x S(x^2); above 1 - e^-P(|x|), with S and P minimax polynomials, P of
 * -log(erfc), the form N. Juffa uses. Both are computed and one selected, so that loops vectorise.
 */
#ifndef DLC_ERF_H
#define DLC_ERF_H

#include "dlc_bits.h"
#include "dlc_exp.h"
#include "dlc_fma.h"

static inline float dlc_erf_small_f32(float x) {
    const float z = x * x;
    float p = 0x1.574ed6p-14f;
    p = dlc_fma_f32(p, z, -0x1.a88d8ep-11f);
    p = dlc_fma_f32(p, z, 0x1.549664p-8f);
    p = dlc_fma_f32(p, z, -0x1.b80962p-6f);
    p = dlc_fma_f32(p, z, 0x1.ce2dcap-4f);
    p = dlc_fma_f32(p, z, -0x1.812742p-2f);
    p = dlc_fma_f32(p, z, 0x1.06eba8p-3f);
    return dlc_fma_f32(x, p, x);
}

static inline float dlc_erf_large_f32(float x) {
    float p = 0x1.5d71f4p-16f;
    p = dlc_fma_f32(p, x, -0x1.c45922p-12f);
    p = dlc_fma_f32(p, x, 0x1.106254p-8f);
    p = dlc_fma_f32(p, x, -0x1.9aebb2p-6f);
    p = dlc_fma_f32(p, x, 0x1.bb4548p-4f);
    p = dlc_fma_f32(p, x, 0x1.444d1ep-1f);
    p = dlc_fma_f32(p, x, 0x1.212626p0f);
    p = dlc_fma_f32(p, x, -0x1.62d8c4p-13f);
    return 1.0f - dlc_exp_f32(-p);
}

static inline float dlc_erf_f32(float x) {
    const uint32_t bits = dlc_bits_f32(x), magnitude = bits & ~DLC_SIGN_F32;
    /* beyond 4 the result rounds to 1 */
    const float size = dlc_from_bits_f32(magnitude > 0x40800000u ? 0x40800000u : magnitude);
    const float small = dlc_erf_small_f32(size), large = dlc_erf_large_f32(size);
    const float y = dlc_select_f32(magnitude < 0x3f6b851fu, small, large);
    return dlc_select_f32(magnitude > 0x7f800000u, x,
                          dlc_from_bits_f32(dlc_bits_f32(y) | (bits & DLC_SIGN_F32)));
}

static inline double dlc_erf_small_f64(double x) {
    const double z = x * x;
    double p = 0x1.1d444227485dep-34;
    p = dlc_fma_f64(p, z, -0x1.402ebcc882e92p-30);
    p = dlc_fma_f64(p, z, 0x1.f9dd274e5c84ep-27);
    p = dlc_fma_f64(p, z, -0x1.5f4c1b4515974p-23);
    p = dlc_fma_f64(p, z, 0x1.b9e3dab577e15p-20);
    p = dlc_fma_f64(p, z, -0x1.f4d2365417e22p-17);
    p = dlc_fma_f64(p, z, 0x1.f9a325a9746c8p-14);
    p = dlc_fma_f64(p, z, -0x1.c02db3f86dd83p-11);
    p = dlc_fma_f64(p, z, 0x1.565bcd0e4c5bap-8);
    p = dlc_fma_f64(p, z, -0x1.b82ce312882c2p-6);
    p = dlc_fma_f64(p, z, 0x1.ce2f21a042bcdp-4);
    p = dlc_fma_f64(p, z, -0x1.812746b0379e7p-2);
    p = dlc_fma_f64(p, z, 0x1.06eba8214db69p-3);
    return dlc_fma_f64(x, p, x);
}

static inline double dlc_erf_large_f64(double x) {
    double p = -0x1.ac770f4bae9e3p-52;
    p = dlc_fma_f64(p, x, 0x1.8877f59fc7ae2p-46);
    p = dlc_fma_f64(p, x, -0x1.52ae08eae0e08p-41);
    p = dlc_fma_f64(p, x, 0x1.6d96c73ff9abap-37);
    p = dlc_fma_f64(p, x, -0x1.141f67c8339f8p-33);
    p = dlc_fma_f64(p, x, 0x1.34d18ddeb626ep-30);
    p = dlc_fma_f64(p, x, -0x1.0720686598ea3p-27);
    p = dlc_fma_f64(p, x, 0x1.581baa3ad6bb9p-25);
    p = dlc_fma_f64(p, x, -0x1.5256c619649d5p-23);
    p = dlc_fma_f64(p, x, 0x1.c94f63d67a26ep-22);
    p = dlc_fma_f64(p, x, -0x1.fb079fd611fdcp-22);
    p = dlc_fma_f64(p, x, -0x1.2e9b30a3b7cc3p-19);
    p = dlc_fma_f64(p, x, 0x1.090cb7d883be6p-16);
    p = dlc_fma_f64(p, x, -0x1.b659d6a0f6ecbp-15);
    p = dlc_fma_f64(p, x, 0x1.965e0f3638549p-14);
    p = dlc_fma_f64(p, x, -0x1.881868ff904bap-17);
    p = dlc_fma_f64(p, x, -0x1.22e48b3b0e622p-11);
    p = dlc_fma_f64(p, x, 0x1.b5a499043dba3p-10);
    p = dlc_fma_f64(p, x, -0x1.94ed5b775d49fp-13);
    p = dlc_fma_f64(p, x, -0x1.398633987dcbap-6);
    p = dlc_fma_f64(p, x, 0x1.a4f7ab9169128p-4);
    p = dlc_fma_f64(p, x, 0x1.45f2f0c02707ep-1);
    p = dlc_fma_f64(p, x, 0x1.20dd76bde3788p+0);
    p = dlc_fma_f64(p, x, -0x1.04dc30a8ff8cap-27);
    return 1.0 - dlc_exp_f64(-p);
}

static inline double dlc_erf_f64(double x) {
    const uint64_t bits = dlc_bits_f64(x), magnitude = bits & ~DLC_SIGN_F64;
    /* beyond 6 the result rounds to 1 */
    const uint64_t bound = magnitude > 0x4018000000000000u ? 0x4018000000000000u : magnitude;
    const double size = dlc_from_bits_f64(bound);
    const double small = dlc_erf_small_f64(size), large = dlc_erf_large_f64(size);
    const double y = dlc_select_f64(magnitude < 0x3fed000000000000u, small, large);
    return dlc_select_f64(magnitude > 0x7ff0000000000000u, x,
                          dlc_from_bits_f64(dlc_bits_f64(y) | (bits & DLC_SIGN_F64)));
}

#endif
