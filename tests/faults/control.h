/* What goes wrong, as the tests have it. They write it into a file that this process maps too, so
 * that it changes while the process runs. The other side of this layout is library.py. */

#include <stdint.h>

struct control {
    int64_t wall_offset;      /* nanoseconds that the wall clock is ahead of the real one */
    int64_t monotonic_offset; /* the same of the clocks that nobody sets */
    int64_t suspended;        /* of that, how much the machine slept */
    int64_t sync_delay;       /* nanoseconds that each sync takes longer */
    int64_t syncs_to_fail;    /* so many syncs, from now on, end with EIO; counted down */
    int64_t syncs;            /* how many were asked for; counted up */
    int64_t write_error;      /* the errno with which each write ends; 0: none */
    int64_t early;            /* of 256 writes, how many reach the platter before any sync */
    char files[512];          /* the faults of the disk concern paths that begin so */
    char platter[512];        /* the directory that stands for the platter; empty: none is kept */
};

extern struct control *control; /* never NULL: all zero where no file is named */
