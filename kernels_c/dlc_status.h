/* Status codes of kernels that can fail: 0 is success, others end the run. */
#ifndef DLC_STATUS_H
#define DLC_STATUS_H

enum { DLC_BAD_INDEX = 2, DLC_BAD_SIZE = 5 };

#endif
