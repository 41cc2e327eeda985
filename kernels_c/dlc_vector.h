/* Vectors of DLC_LANES floats that stay in registers: declared, loaded, combined and stored.
 *
 * gcc makes a register of a local array that only loops over its lanes touch, and fuses fmaf at any
 * -std; clang leaves such arrays in memory unless they have 512 bits, but has vectors as types, and
 * fuses their a * b + c by itself. Other compilers run the loops.
 *
 * DLC_VECTOR(a)                declares a
 * DLC_VECTOR_LOAD(a, p)        a[v] = p[v]
 * DLC_VECTOR_ADD(a, p)         a[v] += p[v]
 * DLC_VECTOR_SCALED(a, s, p)   a[v] += s * p[v], rounded as dlc_fma_f32 does
 * DLC_VECTOR_PRODUCT(a, p, q)  a[v] += p[v] * q[v], likewise
 * DLC_VECTOR_STORE(p, a)       p[v] = a[v]
 *
 * p and q are aligned as floats are.
 */
#ifndef DLC_VECTOR_H
#define DLC_VECTOR_H

#include "dlc_fma.h"
#include "dlc_lanes.h"

#if defined(__clang__)
typedef float dlc_vector __attribute__((vector_size(4 * DLC_LANES)));
typedef float dlc_vector_at __attribute__((vector_size(4 * DLC_LANES), aligned(4), may_alias));
#define DLC_VECTOR_AT(p) (*(const dlc_vector_at *)(p))
#define DLC_VECTOR(a) dlc_vector a
#define DLC_VECTOR_LOAD(a, p) (a) = DLC_VECTOR_AT(p)
#define DLC_VECTOR_ADD(a, p) (a) += DLC_VECTOR_AT(p)
#define DLC_VECTOR_SCALED(a, s, p) (a) = (s) * DLC_VECTOR_AT(p) + (a)
#define DLC_VECTOR_PRODUCT(a, p, q) (a) = DLC_VECTOR_AT(p) * DLC_VECTOR_AT(q) + (a)
#define DLC_VECTOR_STORE(p, a) *(dlc_vector_at *)(p) = (a)
#else
#define DLC_VECTOR(a) float a[DLC_LANES]
#define DLC_VECTOR_LOAD(a, p) DLC_EACH_LANE(v)(a)[v] = (p)[v]
#define DLC_VECTOR_ADD(a, p) DLC_EACH_LANE(v)(a)[v] += (p)[v]
#define DLC_VECTOR_SCALED(a, s, p) DLC_EACH_LANE(v)(a)[v] = dlc_fma_f32(s, (p)[v], (a)[v])
#define DLC_VECTOR_PRODUCT(a, p, q) DLC_EACH_LANE(v)(a)[v] = dlc_fma_f32((p)[v], (q)[v], (a)[v])
/* + 0: a plain copy would make gcc keep the arrays in memory */
#define DLC_VECTOR_STORE(p, a) DLC_EACH_LANE(v)(p)[v] = (a)[v] + 0.0f
#endif

/* Pixels whose sums fit into the registers, two vectors each. */
#if DLC_LANES == 16
#define DLC_VECTOR_PIXELS 14
#else
#define DLC_VECTOR_PIXELS 6
#endif
#define DLC_VECTOR_EACH(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13)

#endif
