/* dlc_quadrant_f64: x modulo pi/2, for any finite x; the first half of sine and cosine.
 *
 * Returns the nearest multiple of pi/2 modulo 4, and the rest in two parts, *high + *low, with
 * |rest| <= pi/4 (a little more by rounding) and an error below 2^-58 of itself.
 * Method: below 4096, pi/2 in three parts (Cody and Waite); above, the product with as many bits of
 * 2/pi as matter, in integers (M. Payne and R. Hanek, 1983).
 */
#ifndef DLC_QUADRANT_H
#define DLC_QUADRANT_H

#include "dlc_bits.h"
#include "dlc_exact.h"

static inline unsigned dlc_quadrant_near_f64(double x, double *high, double *low) {
    const double magic = 0x1.8p52;
    const double k = x * 0x1.45f306dc9c883p-1 + magic, n = k - magic;
    const double first = x - n * 0x1.921fb544p0; /* exact, as is the next product: 33 bits each */
    const double second = n * 0x1.0b4611a6p-34;
    const double rest = first - second, error = (first - rest) - second;
    const double tail = error - n * 0x1.3198a2e037073p-69;
    *high = rest + tail;
    *low = dlc_sum_error_f64(rest, tail, *high);
    return (unsigned)(dlc_bits_f64(k) & 3u);
}

static inline unsigned dlc_quadrant_far_f64(double x, double *high, double *low) {
    /* 2/pi in binary, after 64 zero bits */
    static const uint32_t two_over_pi[] = {
        0,           0,           0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u,
        0x3c439041u, 0xfe5163abu, 0xdebbc561u, 0xb7246e3au, 0x424dd2e0u, 0x06492eeau, 0x09d1921cu,
        0xfe1deb1cu, 0xb129a73eu, 0xe88235f5u, 0x2ebb4484u, 0xe99c7026u, 0xb45f7e41u, 0x3991d639u,
        0x835339f4u, 0x9c845f8bu, 0xbdf9283bu, 0x1ff897ffu, 0xde05980fu, 0xef2f118bu, 0x5a0a6d1fu,
        0x6d367ecfu, 0x27cb09b7u, 0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu, 0x3d0739f7u,
        0x8a5292eau, 0x6bfb5fb1u, 0x1f8d5d08u, 0x56033046u, 0xfc7b6babu,
    };
    const uint64_t bits = dlc_bits_f64(x);
    const uint64_t mantissa = (bits & 0x000fffffffffffffu) | 0x0010000000000000u;
    /* x = mantissa 2^e; bits of 2/pi before place e - 1 only add multiples of 4 */
    const unsigned place = (unsigned)((bits >> 52) & 0x7ffu) - 1075u + 62u;
    const uint32_t *word = two_over_pi + place / 32u;
    const unsigned shift = place % 32u;
    uint32_t part[6], product[6]; /* 192 bits from there, least significant first */
    for (int i = 0; i < 6; i++) {
        const uint64_t two = (uint64_t)word[5 - i] << 32 | word[6 - i];
        part[i] = (uint32_t)(two >> (32u - shift));
    }
    uint64_t carry = 0;
    for (int i = 0; i < 6; i++) {
        carry += (uint64_t)part[i] * (uint32_t)mantissa;
        product[i] = (uint32_t)carry;
        carry >>= 32;
    }
    carry = 0;
    for (int i = 1; i < 6; i++) {
        carry += (uint64_t)part[i - 1] * (uint32_t)(mantissa >> 32) + product[i];
        product[i] = (uint32_t)carry;
        carry >>= 32;
    }
    /* the top two bits are the quadrant, those below a fraction of pi/2; round to the nearest */
    const uint32_t up = product[5] >> 29 & 1u;
    const unsigned quadrant = (product[5] >> 30) + up;
    const double lead = (double)(product[5] & 0x3fffffffu) - (up ? 0x1p30 : 0.0);
    const double a = lead * 0x1p-30, b = (double)product[4] * 0x1p-62, sum = a + b;
    const double more = dlc_sum_error_f64(a, b, sum) +
                        ((double)product[3] * 0x1p-94 + (double)product[2] * 0x1p-126);
    const double f = sum + more, f_low = dlc_sum_error_f64(sum, more, f);
    const double half_pi = 0x1.921fb54442d18p0, half_pi_low = 0x1.1a62633145c07p-54;
    const double y = f * half_pi;
    const double y_low = dlc_product_error_f64(f, half_pi, y) + (f * half_pi_low + f_low * half_pi);
    const double sign = bits & DLC_SIGN_F64 ? -1.0 : 1.0;
    *high = sign * (y + y_low);
    *low = sign * dlc_sum_error_f64(y, y_low, y + y_low);
    return bits & DLC_SIGN_F64 ? 0u - quadrant : quadrant;
}

/* x not finite: the parts are NaN. */
static inline unsigned dlc_quadrant_f64(double x, double *high, double *low) {
    const uint64_t magnitude = dlc_bits_f64(x) & ~DLC_SIGN_F64;
    if (magnitude >= 0x7ff0000000000000u) {
        *high = *low = x - x;
        return 0;
    }
    return magnitude < 0x40b0000000000000u ? dlc_quadrant_near_f64(x, high, low)
                                           : dlc_quadrant_far_f64(x, high, low);
}

/* sine and cosine of high + low, |high| <= pi/4 */
static inline double dlc_sin_near_f64(double high, double low) {
    const double z = high * high;
    double p = 0x1.5d915de765e97p-33;
    p = dlc_fma_f64(p, z, -0x1.ae5e60c3e6cbfp-26);
    p = dlc_fma_f64(p, z, 0x1.71de3570fc85bp-19);
    p = dlc_fma_f64(p, z, -0x1.a01a019c0a27ep-13);
    p = dlc_fma_f64(p, z, 0x1.111111110f842p-7);
    p = dlc_fma_f64(p, z, -0x1.5555555555549p-3);
    return high + (dlc_fma_f64(z * high, p, low) - 0.5 * z * low);
}

static inline double dlc_cos_near_f64(double high, double low) {
    const double z = high * high, half = 0.5 * z, most = 1.0 - half;
    double p = -0x1.8facd15926234p-37;
    p = dlc_fma_f64(p, z, 0x1.1ee9e890bba93p-29);
    p = dlc_fma_f64(p, z, -0x1.27e4f80533c46p-22);
    p = dlc_fma_f64(p, z, 0x1.a01a019cab744p-16);
    p = dlc_fma_f64(p, z, -0x1.6c16c16c15140p-10);
    p = dlc_fma_f64(p, z, 0x1.555555555554cp-5);
    return most + (((1.0 - most) - half) + (z * z * p - high * low));
}

#endif
