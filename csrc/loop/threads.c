/* How other threads reach the loop: under a GIL straight into the ready ring, else by a locked
 * queue, whose entries its owner moves to the ready ring before it adds one of its own, so that the
 * order over all threads is kept. The kernel is asked to wake the loop only where it may be blocked
 * in a poll. */

#include "loop/threads.h"

#include "base/errors.h"
#include "loop/ready.h"
#include "loop/resolver.h"
#include "loop/watch.h"

#define CROSSING_FIRST_CAPACITY 16

int
fio_crossing_open(FioLoop *loop)
{
    fio_crossing *crossing = PyMem_RawCalloc(1, sizeof(fio_crossing));
    if (crossing == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int err = uv_mutex_init(&crossing->lock);
    if (err == 0) {
        err = uv_cond_init(&crossing->ended);
        if (err < 0) {
            uv_mutex_destroy(&crossing->lock);
        }
    }
    if (err < 0) {
        PyMem_RawFree(crossing);
        fio_raise_uv(err);
        return -1;
    }
    loop->crossing = crossing;
    return 0;
}

/* Takes all entries out; the caller owns the array and what is in it. */
static PyObject **
crossing_take(fio_crossing *crossing, size_t *size)
{
    uv_mutex_lock(&crossing->lock);
    PyObject **items = crossing->items;
    *size = crossing->size;
    crossing->items = NULL;
    crossing->size = 0;
    crossing->capacity = 0;
    atomic_store(&crossing->filled, false);
    uv_mutex_unlock(&crossing->lock);
    return items;
}

void
fio_crossing_close(FioLoop *loop)
{
    fio_crossing *crossing = loop->crossing;
    uv_mutex_lock(&crossing->lock);
    crossing->closed = true;
    uv_mutex_unlock(&crossing->lock);
    size_t size = 0;
    PyObject **items = crossing_take(crossing, &size);
    for (size_t i = 0; i < size; i++) {
        fio_handle_release(items[i]);
    }
    PyMem_RawFree(items);
}

void
fio_crossing_free(FioLoop *loop)
{
    fio_crossing *crossing = loop->crossing;
    loop->crossing = NULL;
    if (crossing != NULL) {
        assert(crossing->items == NULL);
        uv_cond_destroy(&crossing->ended);
        uv_mutex_destroy(&crossing->lock);
        PyMem_RawFree(crossing);
    }
}

int
fio_crossing_traverse(FioLoop *loop, visitproc visit, void *arg)
{
    if (loop->crossing != NULL) {
        for (size_t i = 0; i < loop->crossing->size; i++) {
            int result = fio_handle_visit(loop->crossing->items[i], visit, arg);
            if (result != 0) {
                return result;
            }
        }
    }
    return 0;
}

static int
crossing_reserve(fio_crossing *crossing)
{
    if (crossing->size < crossing->capacity) {
        return 0;
    }
    size_t capacity = crossing->capacity == 0 ? CROSSING_FIRST_CAPACITY : crossing->capacity * 2;
    PyObject **items = PyMem_RawRealloc(crossing->items, capacity * sizeof(PyObject *));
    if (items == NULL) {
        return -1;
    }
    crossing->items = items;
    crossing->capacity = capacity;
    return 0;
}

/* Wakes the loop if it may be blocked. Under the lock or a GIL, and not on a closed loop: what ends
 * its polls is there as long as that is held. */
static void
crossing_ring(FioLoop *loop)
{
    /* The loop sets `blocking` and then looks at `filled`; we set `filled` and then look at
     * `blocking`: one of the two sees the other. */
    atomic_bool *blocking = &loop->crossing->blocking;
    if (atomic_load(blocking) && atomic_exchange(blocking, false)) {
        fio_watches_ring(loop);
    }
}

/* Under a GIL the ready ring itself is safe: the loop touches it only while it holds the GIL, and
 * callbacks add to it at any time anyway. */
static PyObject *
crossing_push(FioLoop *loop, FIO_STEALS PyObject *handle)
{
    if (loop->closed) {
        Py_DECREF(handle);
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    if (fio_ready_push(&loop->ready, (uintptr_t)handle) < 0) {
        Py_DECREF(handle);
        return NULL;
    }
    crossing_ring(loop);
    return Py_NewRef(handle); /* the ring's reference is given up by fio_handle_run() */
}

PyObject *
fio_crossing_call(FioLoop *loop, const fio_call *call)
{
    PyObject *handle = fio_handle_new(loop, call);
    if (handle == NULL) {
        return NULL;
    }
    ((FioHandle *)handle)->threadsafe = true;
    if (!loop->running) {
        fio_handle_track(handle);
    }
    if (FIO_GIL) {
        return crossing_push(loop, handle);
    }
    fio_crossing *crossing = loop->crossing;
    uv_mutex_lock(&crossing->lock);
    bool closed = crossing->closed;
    int reserved = closed ? 0 : crossing_reserve(crossing);
    if (!closed && reserved == 0) {
        crossing->items[crossing->size++] = Py_NewRef(handle);
        atomic_store(&crossing->filled, true);
        crossing_ring(loop);
    }
    uv_mutex_unlock(&crossing->lock);
    if (!closed && reserved == 0) {
        return handle;
    }
    Py_DECREF(handle);
    if (closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    return PyErr_NoMemory();
}

void
fio_loop_changed(FioLoop *loop)
{
    /* Not by loop->parked, which is set only after the GIL has been let go. */
    if (FIO_UNLIKELY(atomic_load(&loop->crossing->blocking))
        && loop->thread_id != PyThread_get_thread_ident()) {
        fio_crossing_wake(loop);
    }
}

void
fio_crossing_wake(FioLoop *loop)
{
    fio_crossing *crossing = loop->crossing;
    uv_mutex_lock(&crossing->lock);
    if (!crossing->closed) {
        crossing_ring(loop);
    }
    uv_mutex_unlock(&crossing->lock);
}

void
fio_crossing_fill(FioLoop *loop)
{
    atomic_store(&loop->crossing->filled, true);
    crossing_ring(loop);
}

int
fio_crossing_drain_filled(FioLoop *loop)
{
    size_t size = 0;
    PyObject **items = crossing_take(loop->crossing, &size);
    int result = 0;
    for (size_t i = 0; i < size; i++) {
        if (result < 0 || fio_ready_push(&loop->ready, (uintptr_t)items[i]) < 0) {
            fio_handle_release(items[i]);
            result = -1;
        }
    }
    PyMem_RawFree(items);
    int drained = fio_resolver_drain(loop);
    return result < 0 ? result : drained;
}

void
fio_crossing_wait(FioLoop *loop, const atomic_uchar *running, unsigned char state)
{
    fio_crossing *crossing = loop->crossing;
    atomic_fetch_add(&crossing->waiting, 1);
    uv_mutex_lock(&crossing->lock);
    /* Either we see the new state, or who set it sees that we wait. */
    while (atomic_load(running) == state) {
        uv_cond_wait(&crossing->ended, &crossing->lock);
    }
    uv_mutex_unlock(&crossing->lock);
    atomic_fetch_sub(&crossing->waiting, 1);
}

void
fio_crossing_tell_waiting(FioLoop *loop)
{
    fio_crossing *crossing = loop->crossing;
    if (FIO_UNLIKELY(atomic_load(&crossing->waiting) > 0)) {
        uv_mutex_lock(&crossing->lock);
        uv_cond_broadcast(&crossing->ended);
        uv_mutex_unlock(&crossing->lock);
    }
}
