#ifndef FIO_HTTP_BODY_H
#define FIO_HTTP_BODY_H

/* A body on its way in, as the application reads it: the wire's side feeds bytes, the other side
 * awaits them. The Python type has the methods of aiohttp.StreamReader. It knows no loop but the
 * one its futures come from, and asks its source to pause when too much lies unread. */

#include "base/buf.h"
#include "base/state.h"

typedef struct FioBody FioBody;

typedef struct {
    /* More than the high-water mark lies unread (true) / the reader came down to the low one
     * (false). `source` is what fio_body_new() was given. Never called after eof, failure or
     * fio_body_detach(). */
    void (*flow)(void *source, bool pause);
    /* The reader waits for bytes for the first time: time for "100 Continue". May be NULL. */
    void (*wanted)(void *source);
} fio_body_ops;

/* Unread bytes at which the source is asked to pause (it resumes at half of it). */
#define FIO_BODY_HIGH_WATER (128 * 1024)

/* `loop` is any asyncio loop; `source` is borrowed until fio_body_detach(). */
FIO_MUST_CHECK FioBody *fio_body_new(fio_state *st, PyObject *loop, const fio_body_ops *ops,
                                     void *source);

/* The wire's side. -1: exception set. `data` is copied. */
FIO_MUST_CHECK int fio_body_feed(FioBody *body, const char *data, size_t size);
/* What was fed last ended a chunk of the chunked coding: for readers that ask for chunks. */
FIO_MUST_CHECK int fio_body_end_chunk(FioBody *body);
/* Several pieces at once; `ends` has the offsets in `data` (size_t) at which a chunk ends. */
FIO_MUST_CHECK int fio_body_feed_chunks(FioBody *body, fio_view data, const fio_buf *ends);
FIO_MUST_CHECK int fio_body_feed_eof(FioBody *body);
/* Readers get `exc` (a client gone, a body over its limit) now and from now on. */
FIO_MUST_CHECK int fio_body_fail(FioBody *body, PyObject *exc);
/* The source goes away: no ops are called any more. */
void fio_body_detach(FioBody *body);
bool fio_body_at_eof(const FioBody *body);

FIO_MUST_CHECK int fio_body_setup_types(PyObject *module);

#endif
