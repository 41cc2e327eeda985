/* DLC_KERNEL: how a kernel is declared that each call must specialise.
 *
 * Calls pass literal sizes, so the inlined body is the loop nest of exactly that shape. Left to
 * itself gcc 12 at -O3 shares one clone among several shapes, which is slower, and which it was seen
 * to vectorise wrongly (max pooling of 6 columns cloned with pooling of other sizes).
 */
#ifndef DLC_KERNEL_H
#define DLC_KERNEL_H

#if defined(__GNUC__)
#define DLC_KERNEL static inline __attribute__((always_inline))
#else
#define DLC_KERNEL static inline
#endif

#endif
