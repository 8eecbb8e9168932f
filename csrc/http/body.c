/* A body's bytes on their way from the wire to its readers: what lies unread, the marks by which
 * the source is paused, where chunks ended, who waits. */

#include "http/body.h"

#include "base/aio.h"
#include "http/py_body.h"

/* -- flow -----------------------------------------------------------------------------------------
 */

/* Ends of chunks are kept for readchunk(): so many of them count as a full buffer, whatever the
 * chunks' sizes. */
#define ENDS_HIGH 4096

static size_t
count_ends(const FioBody *self)
{
    return fio_buf_size(&self->ends) / sizeof(uint64_t);
}

static void
body_check_flow(FioBody *self)
{
    const size_t unread = fio_buf_size(&self->buf);
    const size_t ends = self->high == SIZE_MAX ? 0 : count_ends(self);
    if (self->ops == NULL || self->eof || self->exception != NULL) {
        return;
    }
    if (!self->paused && (unread > self->high || ends > ENDS_HIGH)) {
        self->paused = true;
        self->ops->flow(self->source, true);
    }
    else if (self->paused && unread < self->low && ends < ENDS_HIGH / 2) {
        self->paused = false;
        self->ops->flow(self->source, false);
    }
}

/* Forgets the ends of chunks that lie before the first unread byte. */
static void
forget_ends(FioBody *self)
{
    const uint64_t cursor = self->total - fio_buf_size(&self->buf);
    uint64_t end = 0;
    while (count_ends(self) > 0) {
        memcpy(&end, fio_buf_data(&self->ends), sizeof(end));
        if (end >= cursor) {
            return;
        }
        fio_buf_take(&self->ends, sizeof(end));
    }
}

bool
fio_body_next_end(FioBody *self, size_t *distance)
{
    uint64_t end = 0;
    if (count_ends(self) == 0) {
        return false;
    }
    memcpy(&end, fio_buf_data(&self->ends), sizeof(end));
    fio_buf_take(&self->ends, sizeof(end));
    *distance = (size_t)(end - (self->total - fio_buf_size(&self->buf)));
    return true;
}

PyObject *
fio_body_take(FioBody *self, size_t size)
{
    const size_t unread = fio_buf_size(&self->buf);
    const size_t taken = size < unread ? size : unread;
    PyObject *bytes = PyBytes_FromStringAndSize(taken == 0 ? NULL : fio_buf_data(&self->buf),
                                                (Py_ssize_t)taken);
    if (bytes == NULL) {
        return NULL;
    }
    fio_buf_take(&self->buf, taken);
    if (taken == unread) {
        fio_buf_free(&self->buf);
    }
    forget_ends(self);
    body_check_flow(self);
    return bytes;
}

void
fio_body_expect(FioBody *self, size_t size)
{
    if (size > self->low) {
        self->low = size;
        self->high = size > SIZE_MAX / 2 ? SIZE_MAX : size * 2;
        body_check_flow(self);
    }
}

void
fio_body_want(FioBody *self)
{
    if (!self->was_wanted && self->ops != NULL && self->ops->wanted != NULL) {
        self->was_wanted = true;
        self->ops->wanted(self->source);
    }
}

/* -- the wire's side ------------------------------------------------------------------------------
 */

/* Wakes the waiter in `*slot`, with `exc` or without. */
static int
body_wake(FioBody *self, PyObject **slot, PyObject *exc)
{
    PyObject *future = *slot;
    if (future == NULL) {
        return 0;
    }
    *slot = NULL;
    const int result = exc == NULL ? fio_future_set_result(self->st, future, Py_None)
                                   : fio_future_set_exception(self->st, future, exc);
    Py_DECREF(future);
    return result;
}

int
fio_body_feed(FioBody *self, const char *data, size_t size)
{
    assert(!self->eof);
    if (size == 0 || self->exception != NULL) {
        return 0;
    }
    if (fio_buf_append(&self->buf, data, size) < 0) {
        return -1;
    }
    self->total += size;
    const int result = body_wake(self, &self->waiter, NULL);
    body_check_flow(self);
    return result;
}

int
fio_body_end_chunk(FioBody *self)
{
    const uint64_t end = self->total;
    uint64_t last = 0;
    if (count_ends(self) > 0) {
        memcpy(&last, fio_buf_tail(&self->ends) - sizeof(last), sizeof(last));
    }
    if (end == last || self->exception != NULL) {
        return 0;
    }
    const int result = fio_buf_append(&self->ends, (const char *)&end, sizeof(end));
    body_check_flow(self);
    return result;
}

int
fio_body_feed_chunks(FioBody *self, fio_view data, const fio_buf *ends)
{
    const size_t count = fio_buf_size(ends) / sizeof(size_t);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t end;
        memcpy(&end, fio_buf_data(ends) + i * sizeof(end), sizeof(end));
        if (fio_body_feed(self, data.base + at, end - at) < 0 || fio_body_end_chunk(self) < 0) {
            return -1;
        }
        at = end;
    }
    return at == data.size ? 0 : fio_body_feed(self, data.base + at, data.size - at);
}

void
fio_body_run_callbacks(FioBody *self)
{
    PyObject *callbacks = self->callbacks;
    self->callbacks = NULL;
    const Py_ssize_t count = callbacks == NULL ? 0 : PyList_GET_SIZE(callbacks);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *callback = PyList_GET_ITEM(callbacks, i);
        PyObject *result = PyObject_CallNoArgs(callback);
        if (result == NULL) {
            PyErr_WriteUnraisable(callback);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(callbacks);
}

int
fio_body_feed_eof(FioBody *self)
{
    if (self->eof) {
        return 0;
    }
    self->eof = true;
    int result = body_wake(self, &self->waiter, NULL);
    if (body_wake(self, &self->eof_waiter, NULL) < 0) {
        result = -1;
    }
    if (result == 0) {
        fio_body_run_callbacks(self);
    }
    return result;
}

int
fio_body_fail(FioBody *self, PyObject *exc)
{
    Py_XSETREF(self->exception, Py_NewRef(exc));
    Py_CLEAR(self->callbacks);
    int result = body_wake(self, &self->waiter, exc);
    if (body_wake(self, &self->eof_waiter, exc) < 0) {
        result = -1;
    }
    return result;
}

void
fio_body_detach(FioBody *self)
{
    self->ops = NULL;
    self->source = NULL;
}

bool
fio_body_at_eof(const FioBody *self)
{
    return self->eof && fio_buf_size(&self->buf) == 0;
}
