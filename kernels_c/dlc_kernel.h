/* DLC_KERNEL: how a kernel is declared that each call must specialise. DLC_ROLLED, DLC_LANEWISE: see
 * below.
 *
 * Calls pass literal sizes, so the inlined body is the loop nest of exactly that shape; left to
 * itself gcc shares one clone among several shapes, which is slower.
 *
 * DLC_ROLLED stands before inner loops whose count depends on a tap. gcc 12.2 -O3 with AVX-512VL was
 * seen to unroll what such a vectorised loop leaves over into code that reads 4 elements too far;
 * told not to unroll, it does not (tests/property/test_kernels_specialised.py).
 *
 * DLC_LANEWISE stands before inner loops over the lanes of whole vectors: compilers that unroll them
 * first, as gcc and clang do, find no vectors in them, or the wrong ones.
 */
#ifndef DLC_KERNEL_H
#define DLC_KERNEL_H

#if defined(__GNUC__)
#define DLC_KERNEL static inline __attribute__((always_inline))
#else
#define DLC_KERNEL static inline
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define DLC_ROLLED _Pragma("GCC unroll 1")
#else
#define DLC_ROLLED
#endif

#if defined(__GNUC__)
#define DLC_LANEWISE _Pragma("GCC unroll 1")
#else
#define DLC_LANEWISE
#endif

#endif
