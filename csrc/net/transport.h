#ifndef FIO_NET_TRANSPORT_H
#define FIO_NET_TRANSPORT_H

/* The asyncio.Transport over a stream. One struct serves the socket transport and the two pipe
 * transports; they differ in their stream kind and in their table of methods. What is public about
 * them is py_transport.c's, the way to a Python protocol is bridge.c's. */

#include "base/addr.h"
#include "net/stream.h"

typedef struct {
    PyObject_HEAD
    PyObject *extra; /* owned or NULL: the slot `_extra` of asyncio.BaseTransport, always here */
    PyObject *flow_control_slots[2]; /* NULL: of asyncio's _FlowControlMixin, attributes instead */
    PyObject *high_limit; /* owned or NULL: its slots of the limits, used where these are numbers */
    PyObject *low_limit;  /* that the stream's two cannot tell */
    PyObject *dict;       /* owned or NULL: attributes that users set */
    PyObject *weakrefs;
    PyObject *aside;       /* owned or NULL: what fields do not tell (base/attr.h) */
    fio_state *st;         /* borrowed: the type keeps the module alive */
    PyObject *protocol;    /* owned; NULL once the connection is lost */
    PyObject *sock;        /* owned: the socket or pipe object, or NULL while nobody asked for it */
    PyObject *server;      /* owned or NULL: attached to until the connection is lost */
    PyObject *context;     /* owned: contextvars.Context of what the watch calls; NULL before */
    PyObject *own_context; /* owned or NULL: that all calls are to be made in, `_context` of 3.15 */
    PyObject *empty_waiter; /* owned or NULL: the future of _make_empty_waiter() */
    PyObject *incoming;     /* owned or NULL: bytes that a bulk read is going into (bridge.c) */
    Py_buffer *exported;    /* owned or NULL: what get_buffer() gave for the read going on */
    fio_link bridge;        /* the link to `protocol` unless that is a _core.Link */
    fio_addr peer;
    fio_addr local; /* taken at the latest when the descriptor is closed */
    fio_stream stream;
    int fd;                /* the descriptor's number, kept for repr after it was closed */
    bool open;             /* the descriptor is not closed yet */
    bool link_is_due;      /* made with a native link, which has not been told so yet */
    bool ending;           /* connection_lost() is due or was called: what is set has no effect */
    uint8_t shows_paused;  /* what `_paused` was set to (py_transport_attrs.h) */
    uint8_t shows_closing; /* likewise */
} FioTransport;

static inline FioTransport *
fio_transport_of_stream(fio_stream *stream)
{
    return FIO_CONTAINER_OF(stream, FioTransport, stream);
}

/* What a socket transport is made from. */
typedef struct {
    FioLoop *loop;
    PyObject *sock;           /* the socket object, or NULL: `fd` becomes the transport's alone */
    int fd;                   /* used without `sock` */
    PyObject *protocol;       /* any asyncio protocol */
    PyObject *waiter;         /* a future to be done after connection_made(), or NULL */
    PyObject *extra;          /* a dict for get_extra_info(), taken over, or NULL */
    PyObject *server;         /* an asyncio Server, or NULL */
    PyObject *context;        /* a contextvars.Context to make all calls in (3.15), or NULL */
    const fio_any_addr *peer; /* known peer, TCP_NODELAY set already; NULL: asks the descriptor */
} fio_transport_args;

/* A socket transport; its connection_made() is called in the next turn. On failure the descriptor
 * (or socket) is still the caller's. */
FIO_MUST_CHECK PyObject *fio_transport_new(fio_state *st, const fio_transport_args *args);

/* Steps of making a transport, shared by all kinds: memory; for a socket the fields too, from
 * `args`; then connection_made() and what follows it put into the ready ring. The descriptor
 * becomes the transport's when its maker sets `open`, as the last step. */
FIO_MUST_CHECK FioTransport *fio_transport_alloc(PyTypeObject *type, fio_state *st, FioLoop *loop);
FIO_MUST_CHECK FioTransport *fio_transport_prepare(PyTypeObject *type, fio_state *st,
                                                   const fio_transport_args *args,
                                                   const fio_stream_kind *kind);
FIO_MUST_CHECK int fio_transport_begin(FioTransport *self, PyObject *waiter);
/* Second entry of the ready ring: reading starts, the waiter is told. */
FIO_MUST_CHECK int fio_transport_start(FioTransport *self, PyObject *waiter);

FIO_MUST_CHECK int fio_transport_set_protocol(FioTransport *self, PyObject *protocol);

/* Output was queued: has it sent. -1: an exception is set, that of a pause_writing() which ends the
 * program, or RuntimeError: the loop is closed, and the kernel had no room for all. */
FIO_MUST_CHECK int fio_transport_commit(FioTransport *self);

/* Hands the raised exception to the loop's exception handler; the transport goes on. */
void fio_transport_report(FioTransport *self, const char *message);
/* asyncio: _fatal_error(); the exception is set. */
void fio_transport_fatal(FioTransport *self, const char *message);
/* The method itself, also where a program has put another into the transport. */
void fio_transport_fatal_by_us(FioTransport *self, const char *message);
/* asyncio: _force_close(), one of the program's too. */
void fio_transport_force_close(FioTransport *self, PyObject *exc);
/* asyncio: _call_connection_lost(); -1: the protocol's connection_lost() raised. */
FIO_MUST_CHECK int fio_transport_lose(FioTransport *self, PyObject *exc);

/* The number behind a socket object; -1: exception set, ValueError where it is closed. */
FIO_MUST_CHECK int fio_transport_fileno(fio_state *st, PyObject *sock);
/* Takes the descriptor back from a socket object; an exception that is set stays. */
void fio_socket_unwrap(fio_state *st, PyObject *sock);
/* fio_stream_kind.has_descriptor */
bool fio_transport_has_descriptor(fio_stream *stream);
/* The socket object, made when asked for; None once closed. */
FIO_MUST_CHECK PyObject *fio_transport_socket(FioTransport *self);
/* Something for get_extra_info() to find. */
FIO_MUST_CHECK int fio_transport_put_extra(FioTransport *self, PyObject *name, PyObject *value);
/* get_extra_info(): 1 found, 0 not there, -1 exception set. */
FIO_MUST_CHECK int fio_transport_extra(FioTransport *self, PyObject *name, PyObject **value);
/* The dict of all extra information. */
FIO_MUST_CHECK PyObject *fio_transport_all_extra(FioTransport *self);

/* logger.LEVEL(format, self) when the loop is in debug mode. */
void fio_transport_log(FioTransport *self, const char *level, const char *format);

/* Functions of fio_stream_kind shared by the three. */
PyObject *fio_transport_owner(fio_stream *stream);
void fio_transport_failed(fio_stream *stream, int err, const char *message);
void fio_transport_finish(fio_stream *stream, PyObject *exc);
void fio_transport_finish_now(fio_stream *stream);

/* Has the protocol's eof_received() called in the next turn. */
FIO_MUST_CHECK int fio_transport_soon_eof(FioTransport *self);

/* Slots shared by the three. */
int fio_transport_traverse(FioTransport *self, visitproc visit, void *arg);
int fio_transport_clear(FioTransport *self);
void fio_transport_finalize(FioTransport *self);
void fio_transport_dealloc(FioTransport *self);

/* -- the way to a Python protocol (bridge.c) ------------------------------------------------------
 */

extern const fio_link_ops fio_bridge_protocol_ops;
extern const fio_link_ops fio_bridge_buffered_ops;

/* Gives back what a read left. */
void fio_bridge_clear(FioTransport *self);
/* connection_lost() of the protocol, in the context that calls us. */
FIO_MUST_CHECK int fio_bridge_tell_lost(FioTransport *self, PyObject *protocol, PyObject *exc);

FIO_MUST_CHECK int fio_transport_setup_types(PyObject *module);

#endif
