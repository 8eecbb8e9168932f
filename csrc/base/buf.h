#ifndef FIO_BASE_BUF_H
#define FIO_BASE_BUF_H

#include "base/base.h"

/* A growable run of bytes: appended at the end, taken from the front. Zero-initialised is empty;
 * memory is taken with the first byte and given back by fio_buf_free(). */
typedef struct {
    char *base;      /* owned */
    size_t start;    /* bytes before it have been taken */
    size_t end;      /* bytes from start to here are there to be taken */
    size_t capacity; /* bytes of memory at base */
} fio_buf;

static inline size_t
fio_buf_size(const fio_buf *buf)
{
    return buf->end - buf->start;
}

static inline char *
fio_buf_data(const fio_buf *buf)
{
    return buf->base + buf->start;
}

/* Slow path of fio_buf_reserve(). */
FIO_MUST_CHECK int fio_buf_grow(fio_buf *buf, size_t size);

/* Room for `size` more bytes at fio_buf_tail(): 0, or -1 with MemoryError set. Pointers into the
 * buffer are void afterwards. */
static inline int
fio_buf_reserve(fio_buf *buf, size_t size)
{
    if (FIO_LIKELY(buf->capacity - buf->end >= size)) {
        return 0;
    }
    return fio_buf_grow(buf, size);
}

/* Where the next byte goes; write what was reserved, then fio_buf_added(). */
static inline char *
fio_buf_tail(const fio_buf *buf)
{
    return buf->base + buf->end;
}

static inline void
fio_buf_added(fio_buf *buf, size_t size)
{
    assert(buf->capacity - buf->end >= size);
    buf->end += size;
}

FIO_MUST_CHECK int fio_buf_append(fio_buf *buf, const char *data, size_t size);

/* Takes `size` bytes from the front; an emptied buffer starts over at its base. */
static inline void
fio_buf_take(fio_buf *buf, size_t size)
{
    assert(size <= fio_buf_size(buf));
    buf->start += size;
    if (buf->start == buf->end) {
        buf->start = 0;
        buf->end = 0;
    }
}

void fio_buf_free(fio_buf *buf);

#endif
