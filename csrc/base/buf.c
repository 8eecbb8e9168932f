/* The growable buffer: how it grows and when it moves its bytes to the front instead. */

#include "base/buf.h"

/* What a small answer or a split head needs, and the most that Python's allocator for small objects
 * serves: the buffers of a turn then lie close together and stay in the processor's cache. */
#define BUF_FIRST_CAPACITY 512

/* The next step: a page less the allocator's header; from there on it doubles. */
#define BUF_SECOND_CAPACITY 4080

int
fio_buf_grow(fio_buf *buf, size_t size)
{
    size_t used = fio_buf_size(buf);
    if (size > (size_t)PY_SSIZE_T_MAX - used) {
        PyErr_NoMemory();
        return -1;
    }
    if (buf->start > 0 && buf->capacity - used >= size && buf->start >= used) {
        memcpy(buf->base, buf->base + buf->start, used);
        buf->start = 0;
        buf->end = used;
        return 0;
    }
    size_t capacity = buf->capacity;
    if (capacity < BUF_SECOND_CAPACITY) {
        capacity = used + size <= BUF_FIRST_CAPACITY ? BUF_FIRST_CAPACITY : BUF_SECOND_CAPACITY;
    }
    while (capacity < used + size) {
        capacity = capacity > (size_t)PY_SSIZE_T_MAX / 2 ? used + size : capacity * 2;
    }
    char *base = PyMem_Malloc(capacity);
    if (base == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (used > 0) {
        memcpy(base, buf->base + buf->start, used);
    }
    PyMem_Free(buf->base);
    buf->base = base;
    buf->start = 0;
    buf->end = used;
    buf->capacity = capacity;
    return 0;
}

int
fio_buf_append(fio_buf *buf, const char *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (fio_buf_reserve(buf, size) < 0) {
        return -1;
    }
    memcpy(fio_buf_tail(buf), data, size);
    fio_buf_added(buf, size);
    return 0;
}

void
fio_buf_free(fio_buf *buf)
{
    PyMem_Free(buf->base);
    *buf = (fio_buf){0};
}
