/* Bit patterns of floats: dlc_bits_f32, dlc_from_bits_f32 and the f64 forms; infinity and NaN.
 *
 * Kernels compare and clamp on bit patterns where that lets a compiler vectorise: a float
 * comparison may trap, an integer one may not.
 */
#ifndef DLC_BITS_H
#define DLC_BITS_H

#include <stdint.h>
#include <string.h>

#define DLC_INFINITY_F32 dlc_from_bits_f32(0x7f800000u)
#define DLC_NAN_F32 dlc_from_bits_f32(0x7fc00000u)
#define DLC_INFINITY_F64 dlc_from_bits_f64(0x7ff0000000000000u)
#define DLC_NAN_F64 dlc_from_bits_f64(0x7ff8000000000000u)
#define DLC_SIGN_F32 0x80000000u
#define DLC_SIGN_F64 0x8000000000000000u

static inline uint32_t dlc_bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float dlc_from_bits_f32(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* condition (0 or 1) ? a : b, computed on bits so that a compiler cannot turn it into a branch */
static inline float dlc_select_f32(uint32_t condition, float a, float b) {
    const uint32_t mask = 0u - condition;
    return dlc_from_bits_f32((dlc_bits_f32(a) & mask) | (dlc_bits_f32(b) & ~mask));
}

static inline uint64_t dlc_bits_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double dlc_from_bits_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double dlc_select_f64(uint64_t condition, double a, double b) {
    const uint64_t mask = 0u - condition;
    return dlc_from_bits_f64((dlc_bits_f64(a) & mask) | (dlc_bits_f64(b) & ~mask));
}

#endif
