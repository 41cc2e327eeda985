/* dlc_profile for C emitted by dlc and built with -DDLC_PROFILE: seconds spent in each step. */
#if defined(_WIN32)
#include <windows.h>
static double now(void) {
    LARGE_INTEGER ticks, rate;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&rate);
    return (double)ticks.QuadPart / (double)rate.QuadPart;
}
#else
#define _POSIX_C_SOURCE 199309L
#include <time.h>
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif

/* DLC_STEPS, the number of steps, is given on the command line. */
double dlc_step_seconds[DLC_STEPS + 1];
static int current = DLC_STEPS;
static double since;

void dlc_profile(int step) {
    dlc_step_seconds[current] += now() - since;
    current = step;
    since = now(); /* read again: the reading itself belongs to no step */
}
