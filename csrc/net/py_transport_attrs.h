#ifndef FIO_NET_PY_TRANSPORT_ATTRS_H
#define FIO_NET_PY_TRANSPORT_ATTRS_H

/* Attributes of transports that programs set, and rows of their attribute tables. Where a function
 * is given a name, that is the attribute's. */

#include "base/attr.h"
#include "net/transport.h"

/* What was stored under that name: new, or NULL without an exception. */
PyObject *fio_transport_stored(FioTransport *self, const char *name);
/* A setter that keeps the value, for fio_transport_stored(). */
int fio_transport_store(FioTransport *self, PyObject *value, void *name);

/* Values of shows_paused and shows_closing: the state itself, or what the attribute was set to. */
#define FIO_SHOWS_STATE 0
#define FIO_SHOWS(flag) (uint8_t)(1 + (flag))

/* `_paused` and `_closing`, by which the methods go. */
static inline bool
fio_transport_is_paused(const FioTransport *self)
{
    return FIO_UNLIKELY(self->shows_paused != FIO_SHOWS_STATE) ? self->shows_paused == FIO_SHOWS(1)
                                                               : self->stream.paused;
}

static inline bool
fio_transport_is_closing(const FioTransport *self)
{
    return FIO_UNLIKELY(self->shows_closing != FIO_SHOWS_STATE)
               ? self->shows_closing == FIO_SHOWS(1)
               : self->stream.wire.closing;
}

int fio_transport_set_closing(FioTransport *self, PyObject *value, void *name);
int fio_transport_set_conn_lost(FioTransport *self, PyObject *value, void *name);
int fio_transport_set_eof(FioTransport *self, PyObject *value, void *name);
int fio_transport_set_paused(FioTransport *self, PyObject *value, void *name);
int fio_transport_set_protocol_paused(FioTransport *self, PyObject *value, void *name);
int fio_transport_set_server(FioTransport *self, PyObject *value, void *name);
int fio_transport_set_sock(FioTransport *self, PyObject *value, void *name);
PyObject *fio_transport_get_buffer(FioTransport *self, void *name);
int fio_transport_set_buffer(FioTransport *self, PyObject *value, void *name);
/* Drops what waits to be sent; false: the transport has ended, if need be by what was dropped. */
FIO_MUST_CHECK bool fio_transport_empty_buffer(FioTransport *self);
/* A collections.deque of that. */
FIO_MUST_CHECK PyObject *fio_transport_deque(PyObject *pieces);
PyObject *fio_transport_get_buffer_size(FioTransport *self, void *name);
PyObject *fio_transport_get_empty_waiter(FioTransport *self, void *name);
int fio_transport_set_empty_waiter(FioTransport *self, PyObject *value, void *name);
PyObject *fio_transport_get_protocol_connected(FioTransport *self, void *name);
PyObject *fio_transport_get_read_ready_cb(FioTransport *self, void *name);
PyObject *fio_transport_get_context(FioTransport *self, void *name);
int fio_transport_set_context(FioTransport *self, PyObject *value, void *name);

/* Called by asyncio's reader and writer; here by programs only. */
PyObject *fio_transport_py_read_ready(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_write_ready(FioTransport *self, PyObject *ignored);
/* Called by asyncio's own transports for their sockets; here for other descriptors, by programs. */
PyObject *fio_transport_py_call_soon(FioTransport *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *fio_transport_py_add_reader(FioTransport *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *fio_transport_py_add_writer(FioTransport *self, PyObject *const *args, Py_ssize_t nargs);

/* asyncio's class attribute `max_size`. */
FIO_MUST_CHECK int fio_transport_add_max_size(PyTypeObject *type);

/* Getters and setters of the rows; `attr` is a fio_attr. */
PyObject *fio_transport_attr_get(FioTransport *self, void *attr);
int fio_transport_attr_set(FioTransport *self, PyObject *value, void *attr);

#define FIO_TRANSPORT_ROW(name, get, set, traits)                                \
    {name, (getter)fio_transport_attr_get, (setter)fio_transport_attr_set, NULL, \
     FIO_UNCONST(                                                                \
         (&(const fio_attr){name, (getter)(get), (setter)(set), FIO_UNCONST(name), traits}))}
#define FIO_TRANSPORT_ATTRIBUTE(name, get, set) FIO_TRANSPORT_ROW(name, get, set, 0)
#define FIO_TRANSPORT_FLAG(name, get, set) FIO_TRANSPORT_ROW(name, get, set, FIO_ATTR_FLAG)
#define FIO_TRANSPORT_SLOT(name, get, set) FIO_TRANSPORT_ROW(name, get, set, FIO_ATTR_SLOT)

/* Those that the transport has under `name` in asyncio alone. */
#define FIO_TRANSPORT_BUFFER \
    FIO_TRANSPORT_ATTRIBUTE("_buffer", fio_transport_get_buffer, fio_transport_set_buffer)
#define FIO_TRANSPORT_BUFFER_SIZE \
    FIO_TRANSPORT_ATTRIBUTE("_buffer_size", fio_transport_get_buffer_size, fio_transport_store)
#define FIO_TRANSPORT_EMPTY_WAITER                                           \
    FIO_TRANSPORT_ATTRIBUTE("_empty_waiter", fio_transport_get_empty_waiter, \
                            fio_transport_set_empty_waiter)
#define FIO_TRANSPORT_PROTOCOL_CONNECTED                                                 \
    FIO_TRANSPORT_ATTRIBUTE("_protocol_connected", fio_transport_get_protocol_connected, \
                            fio_transport_store)
#define FIO_TRANSPORT_READ_READY_CB \
    FIO_TRANSPORT_ATTRIBUTE("_read_ready_cb", fio_transport_get_read_ready_cb, fio_transport_store)

#define FIO_TRANSPORT_ADD_READER \
    {"_add_reader", FIO_METHOD(fio_transport_py_add_reader), METH_FASTCALL, NULL}

/* What is there for sockets where their transports keep a context; attributes with their commas. */
#if FIO_TRANSPORTS_KEEP_CONTEXT
#define FIO_TRANSPORT_CONTEXT \
    FIO_TRANSPORT_ATTRIBUTE("_context", fio_transport_get_context, fio_transport_set_context),
#define FIO_TRANSPORT_STREAM_SIZE FIO_TRANSPORT_BUFFER_SIZE,
#define FIO_TRANSPORT_STEP_METHODS                                                     \
    FIO_TRANSPORT_ADD_READER,                                                          \
        {"_add_writer", FIO_METHOD(fio_transport_py_add_writer), METH_FASTCALL, NULL}, \
    {                                                                                  \
        "_call_soon", FIO_METHOD(fio_transport_py_call_soon), METH_FASTCALL, NULL      \
    }
#else
#define FIO_TRANSPORT_CONTEXT
#define FIO_TRANSPORT_STREAM_SIZE
#define FIO_TRANSPORT_STEP_METHODS FIO_TRANSPORT_ADD_READER
#endif

#endif
