/* dlc_non_max_suppression_f32: of overlapping boxes the one with the best score, for each class.
 *
 * y       room for batches * classes * min(most, boxes) rows of (batch, class, box);  *count  rows stored
 * x       batches x boxes x 4, corners (y1, x1, y2, x2) in any order, or with centred != 0
 *         (x, y, width, height);  scores  batches x classes x boxes;  order  scratch of boxes entries
 * most    boxes to select for a class (none when it is not positive)
 * overlap boxes whose intersection over union with a selected one is above it are dropped
 * least   boxes whose score is not above it are dropped
 * Best scores first, of equal scores the earlier box; a NaN score is above nothing.
 * As in the ONNX specification of NonMaxSuppression. Method: heap sort, then greedy selection.
 */
#ifndef DLC_NON_MAX_SUPPRESSION_F32_H
#define DLC_NON_MAX_SUPPRESSION_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline float dlc_nms_least(float a, float b) {
    return a < b ? a : b;
}

static inline float dlc_nms_most(float a, float b) {
    return a > b ? a : b;
}

/* low and high corners of a box: y1, x1, y2, x2 */
static inline void dlc_nms_corners(float corner[4], const float *box, bool centred) {
    if (centred) {
        const float w = box[2] / 2, h = box[3] / 2;
        corner[0] = box[1] - h;
        corner[1] = box[0] - w;
        corner[2] = box[1] + h;
        corner[3] = box[0] + w;
    } else {
        corner[0] = dlc_nms_least(box[0], box[2]);
        corner[1] = dlc_nms_least(box[1], box[3]);
        corner[2] = dlc_nms_most(box[0], box[2]);
        corner[3] = dlc_nms_most(box[1], box[3]);
    }
}

static inline bool dlc_nms_overlaps(const float *x, int64_t a, int64_t b, bool centred,
                                    float overlap) {
    float p[4], q[4];
    dlc_nms_corners(p, x + 4 * (ptrdiff_t)a, centred);
    dlc_nms_corners(q, x + 4 * (ptrdiff_t)b, centred);
    const float height = dlc_nms_least(p[2], q[2]) - dlc_nms_most(p[0], q[0]);
    const float width = dlc_nms_least(p[3], q[3]) - dlc_nms_most(p[1], q[1]);
    if (!(height > 0) || !(width > 0)) {
        return false;
    }
    const float first = (p[2] - p[0]) * (p[3] - p[1]), second = (q[2] - q[0]) * (q[3] - q[1]);
    const float both = height * width, either = first + second - both;
    return first > 0 && second > 0 && either > 0 && both / either > overlap;
}

static inline bool dlc_nms_worse(const float *score, int64_t a, int64_t b) {
    return score[a] < score[b] || (!(score[b] < score[a]) && a > b);
}

/* a heap whose root is the best */
static inline void dlc_nms_sift(const float *score, int64_t *heap, ptrdiff_t at, ptrdiff_t size) {
    for (ptrdiff_t child = 2 * at + 1; child < size; at = child, child = 2 * at + 1) {
        child += child + 1 < size && dlc_nms_worse(score, heap[child], heap[child + 1]);
        const int64_t down = heap[at], up = heap[child];
        if (dlc_nms_worse(score, up, down)) {
            return;
        }
        heap[at] = up;
        heap[child] = down;
    }
}

static inline void dlc_non_max_suppression_f32(int64_t *y, int64_t *order, ptrdiff_t *count,
                                               const float *x, const float *scores,
                                               const int64_t *most, const float *overlap,
                                               const float *least, ptrdiff_t batches,
                                               ptrdiff_t classes, ptrdiff_t boxes, ptrdiff_t room,
                                               ptrdiff_t centred) {
    ptrdiff_t found = 0;
    const ptrdiff_t limit = *most < 0 ? 0 : *most < room ? (ptrdiff_t)*most : room;
    for (ptrdiff_t b = 0; b < batches; b++, x += 4 * boxes) {
        for (ptrdiff_t c = 0; c < classes; c++, scores += boxes) {
            const ptrdiff_t start = found;
            ptrdiff_t size = 0;
            for (ptrdiff_t i = 0; i < boxes; i++) {
                if (scores[i] > *least) {
                    order[size++] = i;
                }
            }
            for (ptrdiff_t i = size / 2 - 1; i >= 0; i--) {
                dlc_nms_sift(scores, order, i, size);
            }
            for (; size > 0 && found - start < limit; size--) {
                const int64_t best = order[0];
                bool kept = true;
                order[0] = order[size - 1];
                dlc_nms_sift(scores, order, 0, size - 1);
                for (ptrdiff_t k = start; k < found && kept; k++) {
                    kept = !dlc_nms_overlaps(x, best, y[3 * k + 2], centred != 0, *overlap);
                }
                if (kept) {
                    y[3 * found] = b;
                    y[3 * found + 1] = c;
                    y[3 * found + 2] = best;
                    found++;
                }
            }
        }
    }
    *count = found;
}

#endif
