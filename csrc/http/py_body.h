#ifndef FIO_HTTP_PY_BODY_H
#define FIO_HTTP_PY_BODY_H

/* The inside of FioBody, shared by body.c (bytes in, flow, end), body_read.c (the awaitables that
 * take bytes out) and py_body.c (the type). */

#include "base/buf.h"
#include "http/body.h"

struct FioBody {
    PyObject_HEAD
    fio_state *st;           /* borrowed: the type keeps the module alive */
    PyObject *loop;          /* owned */
    PyObject *protocol;      /* owned: of a StreamReader made in Python, else NULL */
    const fio_body_ops *ops; /* NULL once detached */
    void *source;            /* borrowed: argument of ops */
    fio_buf buf;             /* owned: bytes unread */
    fio_buf ends;         /* owned: a uint64_t for each chunk's end that was not read past: how many
                             bytes of the body had come by then */
    size_t low;           /* bytes unread under which the source may resume */
    size_t high;          /* bytes unread over which it is paused */
    uint64_t total;       /* bytes that ever came */
    PyObject *waiter;     /* owned future of the reader that waits for bytes, or NULL */
    PyObject *eof_waiter; /* owned future of wait_eof(), or NULL */
    PyObject *callbacks;  /* owned list of on_eof(), or NULL */
    PyObject *exception;  /* owned, or NULL */
    bool eof;
    bool paused;
    bool was_wanted;
    PyObject *weakrefs;
};

/* What is held for a body (base/hold.h): its loop, which a garbage collection may have taken. */
FIO_BORROWED static inline PyObject *
fio_body_monitor(const FioBody *body)
{
    return body->loop != NULL ? body->loop : (PyObject *)(uintptr_t)body;
}

/* Runs what on_eof() was given. */
void fio_body_run_callbacks(FioBody *body);

/* Up to `size` unread bytes as a bytes object; the source may resume, and so feed more, before this
 * returns. */
FIO_MUST_CHECK PyObject *fio_body_take(FioBody *body, size_t size);

/* How far the first unread chunk's end is away, in bytes that are there; false: no end is there. */
bool fio_body_next_end(FioBody *body, size_t *distance);

/* A reader is going to ask for `size` bytes at once: the marks must let them in. */
void fio_body_expect(FioBody *body, size_t size);

/* The source is told, once, that somebody waits for bytes. */
void fio_body_want(FioBody *body);

/* A bytes-taking operation as an awaitable; see body_read.c. */
typedef enum {
    FIO_READ_SOME,    /* at least one byte, at most `size` */
    FIO_READ_ANY,     /* all there is, at least one byte */
    FIO_READ_ALL,     /* up to the end */
    FIO_READ_EXACTLY, /* `size` bytes */
    FIO_READ_UNTIL,   /* up to `separator`, at most `size` bytes */
    FIO_READ_CHUNK,   /* up to the next chunk's end or all there is: (bytes, at the end) */
    FIO_READ_EOF,     /* nothing: waits for the end */
} fio_read_kind;

typedef struct {
    fio_read_kind kind;
    size_t size;
    PyObject *separator; /* borrowed bytes, or NULL: a line feed */
    bool iterates;       /* ends in StopAsyncIteration in place of an empty value */
} fio_read;

FIO_MUST_CHECK PyObject *fio_body_read(FioBody *body, const fio_read *read);

/* An asynchronous iterator whose items are reads. */
FIO_MUST_CHECK PyObject *fio_body_iterate(FioBody *body, const fio_read *read);

FIO_MUST_CHECK int fio_body_read_setup_types(PyObject *module);

#endif
