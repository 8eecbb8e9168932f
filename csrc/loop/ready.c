/* The ready ring: what runs in this turn or the next, first in, first out. It holds call_soon()'s
 * handles, due TimerHandles and deferred C calls in one order. */

#include "loop/ready.h"

#include "loop/overrides.h"
#include "loop/threads.h"

/* Power of two; a page of entries. */
#define READY_FIRST_CAPACITY 512

#define READY_DEFERRED ((uintptr_t)1)

/* In a burst entries lie anywhere in memory: so many further on is asked for before its turn. */
#define READY_AHEAD 4

int
fio_ready_grow(fio_ready_ring *ring)
{
    size_t capacity = ring->capacity == 0 ? READY_FIRST_CAPACITY : ring->capacity * 2;
    uintptr_t *items = PyMem_New(uintptr_t, capacity);
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = ring->head; i != ring->head + ring->count; i++) {
        items[i & (capacity - 1)] = ring->items[i & (ring->capacity - 1)];
    }
    PyMem_Free(ring->items);
    ring->items = items;
    ring->capacity = capacity;
    return 0;
}

static uintptr_t
ready_pop(fio_ready_ring *ring)
{
    uintptr_t item = ring->items[ring->head & (ring->capacity - 1)];
    ring->head++;
    ring->count--;
    return item;
}

/* Where a program has put its own _run() in place of that of asyncio's handles. */
FIO_COLD static void
ready_run_foreign(FioLoop *loop)
{
    fio_ready_ring *ring = &loop->ready;
    size_t todo = ring->count;
    loop->metrics.callbacks += todo;
    for (; todo > 0 && ring->count > 0 && loop->fatal == NULL; todo--) {
        uintptr_t item = ready_pop(ring);
        if ((item & READY_DEFERRED) != 0) {
            fio_deferred *deferred = (fio_deferred *)(item - READY_DEFERRED);
            deferred->queued = false;
            deferred->run(deferred);
        }
        else if (item != 0) {
            fio_handle_run_foreign((FioHandle *)item);
        }
    }
    loop->metrics.callbacks -= todo;
}

void
fio_ready_run(FioLoop *loop)
{
    if (FIO_UNLIKELY(fio_overrides_handles(loop->st))) {
        ready_run_foreign(loop);
        return;
    }
    fio_ready_ring *ring = &loop->ready;
    size_t todo = ring->count;
    size_t begun = todo;
    /* A callback may run the loop itself (nested), hence the look at count. */
    for (; todo > 0 && ring->count > 0 && loop->fatal == NULL; todo--) {
        uintptr_t item = ready_pop(ring);
        FIO_PREFETCH(ring->items[(ring->head + READY_AHEAD) & (ring->capacity - 1)]);
        if ((item & READY_DEFERRED) == 0) {
            if (item != 0) {
                fio_handle_run((FioHandle *)item);
            }
            continue;
        }
        fio_deferred *deferred = (fio_deferred *)(item - READY_DEFERRED);
        deferred->queued = false;
        deferred->run(deferred);
    }
    loop->metrics.callbacks += begun - todo;
}

void
fio_ready_clear(FioLoop *loop)
{
    fio_ready_ring *ring = &loop->ready;
    while (ring->count > 0) {
        uintptr_t item = ready_pop(ring);
        if ((item & READY_DEFERRED) != 0) {
            ((fio_deferred *)(item - READY_DEFERRED))->queued = false;
        }
        else if (item != 0) {
            fio_handle_release((PyObject *)item);
        }
    }
}

int
fio_ready_traverse(FioLoop *loop, visitproc visit, void *arg)
{
    fio_ready_ring *ring = &loop->ready;
    if (loop->running && ring->count >= FIO_QUEUE_IS_LONG) {
        return 0;
    }
    for (size_t i = ring->head; i != ring->head + ring->count; i++) {
        uintptr_t item = ring->items[i & (ring->capacity - 1)];
        int result = 0;
        if (item != 0 && (item & READY_DEFERRED) == 0) {
            result = fio_handle_visit((PyObject *)item, visit, arg);
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

void
fio_ready_track(FioLoop *loop)
{
    fio_ready_ring *ring = &loop->ready;
    for (size_t i = ring->head; i != ring->head + ring->count; i++) {
        uintptr_t item = ring->items[i & (ring->capacity - 1)];
        if (item != 0 && (item & READY_DEFERRED) == 0) {
            fio_handle_track_held((PyObject *)item);
        }
    }
}

PyObject *
fio_ready_list(FioLoop *loop)
{
    fio_ready_ring *ring = &loop->ready;
    PyObject *list = PyList_New(0);
    for (size_t i = ring->head; list != NULL && i != ring->head + ring->count; i++) {
        uintptr_t item = ring->items[i & (ring->capacity - 1)];
        if (item != 0 && (item & READY_DEFERRED) == 0
            && PyList_Append(list, (PyObject *)item) < 0) {
            Py_CLEAR(list);
        }
    }
    if (!loop->running) {
        fio_ready_track(loop);
    }
    return list;
}

PyObject *
fio_ready_take(FioLoop *loop, PyObject *index)
{
    FIO_HOLD(loop);
    fio_ready_ring *ring = &loop->ready;
    size_t left = PyLong_AsSize_t(index);
    if (left == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    for (size_t i = ring->head; i != ring->head + ring->count; i++) {
        uintptr_t *item = &ring->items[i & (ring->capacity - 1)];
        if (*item != 0 && (*item & READY_DEFERRED) == 0 && left-- == 0) {
            PyObject *handle = (PyObject *)*item;
            *item = 0;
            fio_handle_track(handle);
            loop->latest = loop->latest == handle ? NULL : loop->latest;
            return handle; /* the ring's reference */
        }
    }
    PyErr_SetString(PyExc_IndexError, "index out of range");
    return NULL;
}

int
fio_loop_defer(FioLoop *loop, fio_deferred *deferred)
{
    if (deferred->queued) {
        return 0;
    }
    size_t position = loop->ready.head + loop->ready.count;
    if (fio_ready_push(&loop->ready, (uintptr_t)deferred | READY_DEFERRED) < 0) {
        return -1;
    }
    deferred->position = position;
    deferred->queued = true;
    return 0;
}

int
fio_ready_defer_first(FioLoop *loop, fio_deferred *deferred)
{
    fio_ready_ring *ring = &loop->ready;
    if (deferred->queued) {
        return 0;
    }
    if (fio_ready_reserve(ring, 1) < 0) {
        return -1;
    }
    ring->head--;
    ring->count++;
    ring->items[ring->head & (ring->capacity - 1)] = (uintptr_t)deferred | READY_DEFERRED;
    deferred->position = ring->head;
    deferred->queued = true;
    return 0;
}

void
fio_loop_undefer(FioLoop *loop, fio_deferred *deferred)
{
    if (deferred->queued) {
        deferred->queued = false;
        loop->ready.items[deferred->position & (loop->ready.capacity - 1)] = 0;
    }
}

PyObject *
fio_loop_call_soon(FioLoop *loop, PyObject *callback, PyObject *arg, PyObject *context)
{
    const fio_call call = {
        .callback = callback, .args = &arg, .nargs = arg != NULL, .context = context};
    return fio_ready_call(loop, &call);
}

PyObject *
fio_ready_call(FioLoop *loop, const fio_call *call)
{
    PyObject *handle = fio_handle_new(loop, call);
    if (handle == NULL) {
        return NULL;
    }
    if (!loop->running) {
        fio_handle_track_idle(loop, handle);
    }
    /* What other threads asked for before goes first. */
    if (fio_crossing_drain(loop) < 0 || fio_ready_push(&loop->ready, (uintptr_t)handle) < 0) {
        Py_DECREF(handle);
        return NULL;
    }
    return Py_NewRef(handle); /* the ring's reference is given up by fio_handle_run() */
}
