#ifndef FIO_NET_LINK_H
#define FIO_NET_LINK_H

/* THE seam between a byte stream and what speaks a protocol over it. Upward the stream calls a
 * link's functions; downward the link appends to the wire's output and calls the wire's functions.
 * Neither knows what the other is: a wire is a stream of ours, TLS over one, or the transport of
 * another event loop; a link is the bridge to a Python protocol, an HTTP connection, or TLS.
 *
 * All calls are made on the loop's thread with the GIL held. None of them raises: a function that
 * fails reports the exception itself. Each side may close the other inside any call: the caller
 * holds a reference to its own object and looks at its state again afterwards. */

#include "base/buf.h"
#include "base/state.h"

typedef struct fio_link fio_link;
typedef struct fio_wire fio_wire;

/* -- upward: what a link is told ------------------------------------------------------------------
 */

typedef struct {
    /* First of all calls. `wire` stays valid until lost() has returned; `transport` (borrowed) is
     * its asyncio.Transport. */
    void (*connected)(fio_link *link, fio_wire *wire, PyObject *transport);
    /* Where the next read shall put its bytes: sets *size to the room there. NULL op or a NULL
     * return: the loop's slab. */
    char *(*buffer)(fio_link *link, size_t *size);
    /* True: what comes next may be read before its turn and handed over though reading was paused
     * meanwhile; nobody can tell. NULL: never. */
    bool (*reads_ahead)(fio_link *link);
    /* Nothing came into what buffer() gave last: it may be let go. NULL: nothing to let go. */
    void (*unused)(fio_link *link);
    /* `size` (> 0) bytes came; `data` is void after the call. */
    void (*data)(fio_link *link, const char *data, size_t size);
    /* The peer will send no more. True: keep the connection open for our output; false: the wire
     * closes itself once its output is out. */
    bool (*eof)(fio_link *link);
    /* Unsent output grew over the high-water mark / fell to the low one. */
    void (*pause_writing)(fio_link *link);
    void (*resume_writing)(fio_link *link);
    /* Last of all calls: the connection is gone. `exc` is NULL after a normal end, else borrowed.
     */
    void (*lost)(fio_link *link, PyObject *exc);
} fio_link_ops;

struct fio_link {
    const fio_link_ops *ops;
};

/* -- downward: what a link can do with its wire ---------------------------------------------------
 */

typedef struct {
    /* Bytes were appended to wire->out: they go out at the end of this turn at the latest. */
    void (*commit)(fio_wire *wire);
    /* Sends wire->out and all that is queued now, as far as the peer takes it. */
    void (*flush)(fio_wire *wire);
    /* Queues `size` bytes at `data` behind all output so far without copying them; `owner` (a new
     * reference is taken) keeps them alive and unchanged. For large bodies. -1: exception set. */
    int (*send)(fio_wire *wire, const char *data, size_t size, PyObject *owner);
    /* Queues `size` bytes of the file descriptor from `offset` on (sendfile); the wire dups `fd`.
     * NULL op or 1: not possible here, read and copy instead. -1: exception set. */
    int (*send_file)(fio_wire *wire, int fd, int64_t offset, size_t size);
    /* Closes once all output is out; no further data() or eof(). Idempotent. */
    void (*close)(fio_wire *wire);
    /* Closes now, dropping unsent output. Idempotent. */
    void (*abort)(fio_wire *wire);
    /* Stops and resumes data(); both idempotent. */
    void (*pause_reading)(fio_wire *wire);
    void (*resume_reading)(fio_wire *wire);
    /* Unsent bytes: wire->out, queued sends and what the kernel refused. */
    size_t (*unsent)(fio_wire *wire);
} fio_wire_ops;

struct fio_wire {
    const fio_wire_ops *ops;
    fio_buf out;  /* gathered output: append to it, then ops->commit() */
    bool closing; /* close() or abort() was called, or the connection is lost: append nothing */
};

/* -- the base type of native protocols ------------------------------------------------------------
 */

/* An instance of _core.Link given to a transport of ours as its protocol is wired by its C ops. On
 * any other loop the same object is an asyncio.Protocol through its Python methods, which drive the
 * ops over a wire made round that loop's transport. A type derived in C sets link.ops when it makes
 * an instance, and calls the two functions below from its own tp_traverse and tp_clear. */
typedef struct {
    PyObject_HEAD
    fio_link link;
    PyObject *foreign; /* owned: the wire over another loop's transport while connected, or NULL */
    FIO_MONITOR_FIELD  /* the loop, once connected */
} FioLink;

int fio_link_traverse(FioLink *self, visitproc visit, void *arg);
int fio_link_clear(FioLink *self);
/* What tp_dealloc does last. */
static inline void
fio_link_end(FioLink *self)
{
    (void)self;
    FIO_CLEAR_MONITOR(self);
}

/* Whether `protocol` is such an object, with its functions set. */
bool fio_link_is_native(fio_state *st, PyObject *protocol);

FIO_MUST_CHECK int fio_link_setup_types(PyObject *module);

#endif
