/* dlc_pairwise_coupling_f32: probabilities of classes from those of one class against another.
 *
 * p  rows x classes;  r  rows x pairs, of classes i < j in lexicographic order the probability of i
 *    where it is i or j;  work  classes * (classes + 1) elements;  no overlap
 * p minimises the sum over pairs of (r_ji p_i - r_ij p_j)^2 and sums to 1.
 * Method: Wu, Lin and Weng (2004), the second one, with the iteration of libsvm: at most 100 rounds,
 * until the error is below 0.005 / classes.
 */
#ifndef DLC_PAIRWISE_COUPLING_F32_H
#define DLC_PAIRWISE_COUPLING_F32_H

#include <stdbool.h>
#include <stddef.h>

/* the matrix of the sum of squares: p' q p */
static inline void dlc_coupling_matrix_f32(float *q, const float *r, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        q[i * n + i] = 0;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t j = i + 1; j < n; j++, r++) {
            const float a = *r, b = 1.0f - *r;
            q[i * n + i] += b * b;
            q[j * n + j] += a * a;
            q[i * n + j] = q[j * n + i] = -a * b;
        }
    }
}

/* qp = q p; returns p' q p */
static inline float dlc_coupling_product_f32(float *qp, const float *q, const float *p,
                                             ptrdiff_t n) {
    float total = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        float sum = 0;
        for (ptrdiff_t j = 0; j < n; j++) {
            sum += q[i * n + j] * p[j];
        }
        qp[i] = sum;
        total += p[i] * sum;
    }
    return total;
}

static inline bool dlc_coupling_done_f32(const float *qp, float total, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        const float error = qp[i] < total ? total - qp[i] : qp[i] - total;
        if (!(error < 0.005f / (float)n)) {
            return false;
        }
    }
    return true;
}

static inline void dlc_pairwise_coupling_f32(float *p, const float *r, float *work, ptrdiff_t rows,
                                             ptrdiff_t classes) {
    const ptrdiff_t n = classes;
    float *q = work, *qp = work + n * n;
    for (ptrdiff_t row = 0; row < rows; row++, p += n, r += n * (n - 1) / 2) {
        dlc_coupling_matrix_f32(q, r, n);
        for (ptrdiff_t i = 0; i < n; i++) {
            p[i] = 1.0f / (float)n;
        }
        for (int round = 0; round < 100; round++) {
            float total = dlc_coupling_product_f32(qp, q, p, n);
            if (dlc_coupling_done_f32(qp, total, n)) {
                break;
            }
            for (ptrdiff_t i = 0; i < n; i++) {
                const float own = q[i * n + i];
                const float step = (total - qp[i]) / own, whole = 1.0f + step;
                p[i] += step;
                total = (total + step * (step * own + 2.0f * qp[i])) / whole / whole;
                for (ptrdiff_t j = 0; j < n; j++) {
                    qp[j] = (qp[j] + step * q[i * n + j]) / whole;
                    p[j] /= whole;
                }
            }
        }
    }
}

#endif
