/* Clocks that are wrong by as much as the tests say, and waits that still end when they should:
 * the kernel knows nothing of our offsets, so deadlines are taken back to its own time. */

#define _GNU_SOURCE
#include "control.h"
#include "real.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000LL

static int64_t offset_of(clockid_t id) {
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return control->wall_offset;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
        return control->monotonic_offset;
    case CLOCK_BOOTTIME:
        return control->monotonic_offset + control->suspended;
    default:
        return 0; /* processor time */
    }
}

static struct timespec shifted(const struct timespec *at, int64_t by) {
    int64_t all = at->tv_sec * SECOND + at->tv_nsec + by;
    int64_t nanoseconds = ((all % SECOND) + SECOND) % SECOND;
    return (struct timespec){(all - nanoseconds) / SECOND, nanoseconds};
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int failed = REAL(clock_gettime)(id, at);
    if (!failed)
        *at = shifted(at, offset_of(id));
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *until, struct timespec *left) {
    struct timespec real = *until;
    if (flags & TIMER_ABSTIME)
        real = shifted(until, -offset_of(id));
    return REAL(clock_nanosleep)(id, flags, &real, left);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t id, const struct timespec *restrict until) {
    struct timespec real = shifted(until, -offset_of(id));
    return REAL(sem_clockwait)(semaphore, id, &real);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    /* Which clock it means is hidden in the condition. Machines run for less than 30 years. */
    clockid_t id = until->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec real = shifted(until, -offset_of(id));
    return REAL(pthread_cond_timedwait)(condition, mutex, &real);
}
