/* What this machine can do at best: f32 multiply-adds a second, and bytes of memory a second. */
#include <stddef.h>

#if defined(__TINYC__) || !defined(__GNUC__)
typedef float vector;
#elif defined(__AVX512F__)
typedef float vector __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef float vector __attribute__((vector_size(32)));
#else
typedef float vector __attribute__((vector_size(16)));
#endif

enum { LANES = sizeof(vector) / sizeof(float), CHAINS = 12 };

/* 12 independent chains hide the latency of two units, and fit 16 registers. */
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define BEGIN(n) vector a##n = start + (float)n;
#define STEP(n) a##n = a##n * scale + shift;
#define SUM(n) total = total + a##n;

/* Runs `rounds` rounds of multiply-adds; *flops is how many operations that was. */
float dlc_peak_compute(ptrdiff_t rounds, const float *given, double *flops) {
    const vector zero = {0};
    const vector start = zero + given[0], scale = zero + given[1], shift = zero + given[2];
    EACH(BEGIN)
    for (ptrdiff_t r = 0; r < rounds; ++r) {
        EACH(STEP)
    }
    vector total = zero;
    EACH(SUM)
    *flops = 2.0 * LANES * CHAINS * (double)rounds;
    return *(const float *)(const void *)&total;
}

/* The triad of McCalpin's STREAM: two streams read, one written. */
void dlc_peak_triad(float *restrict y, const float *restrict a, const float *restrict b,
                    ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        y[i] = a[i] + 3.0f * b[i];
    }
}
