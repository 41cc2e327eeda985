/* DLC_LANES: floats in one vector register of the target; DLC_EACH_LANE(v): for v in 0..DLC_LANES.
 *
 * A local `float a[DLC_LANES]` used only in DLC_EACH_LANE loops becomes one register. The loop must
 * not be unrolled before it is vectorised (gcc would keep the array in memory): hence the pragma,
 * which gcc, clang and zig understand.
 */
#ifndef DLC_LANES_H
#define DLC_LANES_H

#include <stddef.h>

#if defined(__AVX512F__)
#define DLC_LANES 16
#elif defined(__AVX__)
#define DLC_LANES 8
#else
#define DLC_LANES 4
#endif

#if defined(__GNUC__)
#define DLC_EACH_LANE(v) _Pragma("GCC unroll 1") for (ptrdiff_t v = 0; v < DLC_LANES; v++)
#else
#define DLC_EACH_LANE(v) for (ptrdiff_t v = 0; v < DLC_LANES; v++)
#endif

#endif
