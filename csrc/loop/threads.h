#ifndef FIO_LOOP_THREADS_H
#define FIO_LOOP_THREADS_H

/* The one way into a loop from another thread. */

#include "loop/callback.h"

#include <stdatomic.h>

typedef struct fio_crossing {
    uv_mutex_t lock;
    PyObject **items; /* owned Handles, in order; under the lock, as are size to closed */
    size_t size;
    size_t capacity;
    bool closed;
    atomic_bool filled;   /* size > 0, readable without the lock */
    atomic_bool blocking; /* the loop is in a poll that may block, or about to enter it */
    atomic_bool written;  /* _write_to_self() was called since the last poll that could wait */
    uv_cond_t ended;      /* a callback was run that another thread waits for the end of */
    atomic_int waiting;   /* how many threads do */
} fio_crossing;

/* Makes loop->crossing; 0, or -1 with an exception set. */
FIO_MUST_CHECK int fio_crossing_open(FioLoop *loop);

/* No more entries from here on; drops those that are there. */
void fio_crossing_close(FioLoop *loop);

/* Frees loop->crossing; after fio_crossing_close(). */
void fio_crossing_free(FioLoop *loop);

int fio_crossing_traverse(FioLoop *loop, visitproc visit, void *arg);

/* call_soon_threadsafe(): from any thread that holds the GIL, and from Python's signal handlers. */
FIO_MUST_CHECK PyObject *fio_crossing_call(FioLoop *loop, const fio_call *call);

/* Returns once *running is no longer `state`; without the GIL. */
void fio_crossing_wait(FioLoop *loop, const atomic_uchar *running, unsigned char state);

/* A callback's state has changed: those who wait look again. */
void fio_crossing_tell_waiting(FioLoop *loop);

static inline void
fio_crossing_lock(FioLoop *loop)
{
    uv_mutex_lock(&loop->crossing->lock);
}

static inline void
fio_crossing_unlock(FioLoop *loop)
{
    uv_mutex_unlock(&loop->crossing->lock);
}

/* Something else than a handle is to be drained, and the loop may have to be woken for it. From any
 * thread, also one that Python knows nothing of, as long as the loop is kept open. */
void fio_crossing_fill(FioLoop *loop);

FIO_MUST_CHECK int fio_crossing_drain_filled(FioLoop *loop);

/* Moves what other threads queued to the ready ring; -1: MemoryError. */
FIO_MUST_CHECK static inline int
fio_crossing_drain(FioLoop *loop)
{
    if (FIO_LIKELY(!atomic_load_explicit(&loop->crossing->filled, memory_order_relaxed))) {
        return 0;
    }
    return fio_crossing_drain_filled(loop);
}

/* Where no GIL does it, the lock of the crossing keeps the threads apart that know of a handle of
 * call_soon_threadsafe(). No Python code runs under it. */
static inline void
fio_handle_lock(FioHandle *self)
{
    if (!FIO_GIL && self->threadsafe) {
        fio_crossing_lock(self->loop);
    }
}

static inline void
fio_handle_unlock(FioHandle *self)
{
    if (!FIO_GIL && self->threadsafe) {
        fio_crossing_unlock(self->loop);
    }
}

#endif
