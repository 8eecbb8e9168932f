#ifndef FIO_LOOP_READY_H
#define FIO_LOOP_READY_H

/* The ready ring from inside the room. */

#include "loop/callback.h"

/* So many entries of a queue, and the collector does not go over them while the loop runs: a
 * running loop is alive, and all that waits in it. Fewer are gone over, for gc.get_referrers(). */
#define FIO_QUEUE_IS_LONG 1024

FIO_MUST_CHECK int fio_ready_grow(fio_ready_ring *ring);

/* Room for `count` more entries: 0, or -1 with MemoryError set. */
FIO_MUST_CHECK static inline int
fio_ready_reserve(fio_ready_ring *ring, size_t count)
{
    while (ring->capacity - ring->count < count) {
        if (fio_ready_grow(ring) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Appends an entry: 0, or -1 with MemoryError set. */
FIO_MUST_CHECK static inline int
fio_ready_push(fio_ready_ring *ring, uintptr_t item)
{
    if (FIO_UNLIKELY(ring->count == ring->capacity) && fio_ready_grow(ring) < 0) {
        return -1;
    }
    ring->items[(ring->head + ring->count++) & (ring->capacity - 1)] = item;
    return 0;
}

/* fio_loop_defer() in front of all other entries. */
FIO_MUST_CHECK int fio_ready_defer_first(FioLoop *loop, fio_deferred *deferred);

/* Makes a Handle of `call` and puts it into the ring. */
FIO_MUST_CHECK PyObject *fio_ready_call(FioLoop *loop, const fio_call *call);

/* Runs the entries that are there now, not those they add; stops early when loop->fatal is set. */
void fio_ready_run(FioLoop *loop);

/* Drops all entries. */
void fio_ready_clear(FioLoop *loop);

/* Makes handles that others hold, too, known to the garbage collector. */
void fio_ready_track(FioLoop *loop);

/* The Handles that wait in the ring, in order. */
FIO_MUST_CHECK PyObject *fio_ready_list(FioLoop *loop);

/* loop._ready_take(index): takes that one of them out, and returns it. */
PyObject *fio_ready_take(FioLoop *loop, PyObject *index);

int fio_ready_traverse(FioLoop *loop, visitproc visit, void *arg);

#endif
