/* dlc_fma_f32, dlc_fma_f64: a * b + c, fused where the target does that in one instruction.
 *
 * Elsewhere two roundings: never a slow exact emulation, never a call. A caller must be right both
 * ways. gcc -std=c99 does not contract a * b + c by itself, which halves the speed of inner loops.
 */
#ifndef DLC_FMA_H
#define DLC_FMA_H

#if defined(__GNUC__) && (defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__))
#define DLC_HAS_FMA 1
#else
#define DLC_HAS_FMA 0
#endif
#if DLC_HAS_FMA && (defined(__FMA__) || defined(__aarch64__)) /* 32-bit ARM may fuse f32 only */
#define DLC_HAS_FMA_F64 1
#else
#define DLC_HAS_FMA_F64 0
#endif

static inline float dlc_fma_f32(float a, float b, float c) {
#if DLC_HAS_FMA
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static inline double dlc_fma_f64(double a, double b, double c) {
#if DLC_HAS_FMA_F64
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

#endif
