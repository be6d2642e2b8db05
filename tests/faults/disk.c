/* A disk that is slow, full or broken, and that forgets what it was not asked to keep.
 *
 * Beside the files themselves it keeps a platter: copies that get what was written only when a sync
 * of it has succeeded. After a power cut the platter is what is left. What a sync that failed was
 * to keep is lost to it for good unless it is written again, as on Linux, which takes the pages for
 * clean then. With `early`, some writes get there before any sync: a disk may do so in any order.
 */

#define _GNU_SOURCE
#include "control.h"
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 8

struct range {
    off_t start;
    size_t size;
    void *content; /* only once it is on its way to the platter */
    struct range *next;
};

struct file {
    char path[PATH_MAX];
    struct range *unsynced; /* newest first */
};

static struct file files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int ends_with(const char *text, const char *end) {
    size_t all = strlen(text), tail = strlen(end);
    return all >= tail && !strcmp(text + all - tail, end);
}

/* Whether it is a file of the database. What lies in shared memory or is a lock, nobody keeps. */
static int ours(const char *path) {
    return control->files[0] && !strncmp(path, control->files, strlen(control->files)) &&
           !ends_with(path, "-shm") && !ends_with(path, ".lock");
}

/* Whether the faults concern what is open there; its path then. */
static int concerned(int fd, char path[PATH_MAX]) {
    char link[64];
    if (!control->files[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return ours(path);
}

static void note(struct file *file, off_t start, size_t size) {
    struct range *range = calloc(1, sizeof *range);
    *range = (struct range){start, size, NULL, file->unsynced};
    file->unsynced = range;
}

/* The file, under the lock. Of one that is new to this process nobody knows what was synced. */
static struct file *found(int fd, const char *path) {
    for (int i = 0; i < FILES; i++) {
        struct stat status;
        if (!files[i].path[0]) {
            strcpy(files[i].path, path);
            if (!fstat(fd, &status))
                note(&files[i], 0, status.st_size);
        }
        if (!strcmp(files[i].path, path))
            return &files[i];
    }
    abort(); /* there are more files than a database has */
}

static void read_content(int fd, struct range *range) {
    range->content = malloc(range->size + 1);
    ssize_t got = pread(fd, range->content, range->size, range->start);
    range->size = got > 0 ? (size_t)got : 0; /* it may have been cut off since */
}

/* All that was not synced yet, oldest first, as it reads now. */
static struct range *take(int fd, const char *path) {
    struct range *taken = NULL;
    pthread_mutex_lock(&lock);
    struct file *file = found(fd, path);
    while (file->unsynced) {
        struct range *range = file->unsynced;
        file->unsynced = range->next;
        read_content(fd, range);
        range->next = taken;
        taken = range;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

static const char *copy_of(const char *path, char copy[PATH_MAX]) {
    snprintf(copy, PATH_MAX, "%s%s", control->platter, strrchr(path, '/'));
    return copy;
}

static int open_copy(const char *path) {
    char copy[PATH_MAX];
    return open(copy_of(path, copy), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static void put(int copy, const struct range *range) {
    if (REAL(pwrite64)(copy, range->content, range->size, range->start) != (ssize_t)range->size)
        abort(); /* the tests' own disk is full */
}

static void discard(struct range *range) {
    while (range) {
        struct range *next = range->next;
        free(range->content);
        free(range);
        range = next;
    }
}

/* Notes what was just written. */
static void written(int fd, const char *path, off_t start, size_t size) {
    if (!control->platter[0])
        return;
    pthread_mutex_lock(&lock);
    note(found(fd, path), start, size);
    if (random() % 256 < control->early) {
        struct range range = {start, size, NULL, NULL};
        int copy = open_copy(path);
        read_content(fd, &range);
        put(copy, &range);
        free(range.content);
        close(copy);
    }
    pthread_mutex_unlock(&lock);
}

ssize_t pwrite64(int fd, const void *content, size_t size, off64_t start) {
    char path[PATH_MAX];
    if (!concerned(fd, path))
        return REAL(pwrite64)(fd, content, size, start);
    if (control->write_error) {
        errno = control->write_error;
        return -1;
    }
    ssize_t done = REAL(pwrite64)(fd, content, size, start);
    if (done > 0)
        written(fd, path, start, done);
    return done;
}

ssize_t pwrite(int fd, const void *content, size_t size, off_t start) {
    return pwrite64(fd, content, size, start);
}

ssize_t write(int fd, const void *content, size_t size) {
    char path[PATH_MAX];
    if (!concerned(fd, path))
        return REAL(write)(fd, content, size);
    ssize_t done = pwrite64(fd, content, size, lseek(fd, 0, SEEK_CUR));
    if (done > 0)
        lseek(fd, done, SEEK_CUR);
    return done;
}

static int fails(void) {
    int64_t left = control->syncs_to_fail;
    while (left > 0)
        if (__atomic_compare_exchange_n(&control->syncs_to_fail, &left, left - 1, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 1;
    return 0;
}

static int sync_one(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!concerned(fd, path))
        return real(fd);
    __atomic_add_fetch(&control->syncs, 1, __ATOMIC_SEQ_CST);
    struct range *content = control->platter[0] ? take(fd, path) : NULL;
    struct stat status;
    fstat(fd, &status);
    int64_t delay = control->sync_delay;
    nanosleep(&(struct timespec){delay / 1000000000, delay % 1000000000}, NULL);
    int failed = fails() ? -1 : real(fd);
    if (!failed && control->platter[0]) {
        struct stat kept;
        int copy = open_copy(path);
        for (struct range *range = content; range; range = range->next)
            put(copy, range);
        if (!fstat(copy, &kept) && kept.st_size > status.st_size && ftruncate(copy, status.st_size))
            abort();
        close(copy);
    }
    discard(content);
    if (failed)
        errno = EIO;
    return failed;
}

int fsync(int fd) { return sync_one(fd, REAL(fsync)); }

int fdatasync(int fd) { return sync_one(fd, REAL(fdatasync)); }

/* A file system keeps its names in order: that one is gone is on disk before any later sync. */
int unlink(const char *path) {
    char copy[PATH_MAX];
    int failed = REAL(unlink)(path);
    if (!failed && control->platter[0] && ours(path))
        REAL(unlink)(copy_of(path, copy));
    return failed;
}
