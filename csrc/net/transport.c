/* The life of a transport: made, begun, failed, lost, collected, in the order of asyncio's
 * selector_events._SelectorTransport. */

#include "net/py_transport_attrs.h"

#include "base/aio.h"
#include "base/errors.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void socket_ended(fio_stream *stream);
static void socket_drained(fio_stream *stream);

static const fio_stream_kind socket_kind = {
    .owner = fio_transport_owner,
    .failed = fio_transport_failed,
    .has_descriptor = fio_transport_has_descriptor,
    .ended = socket_ended,
    .finish = fio_transport_finish,
    .finish_now = fio_transport_finish_now,
    .drained = socket_drained,
    .read_error = "Fatal read error on socket transport",
    .write_error = "Fatal write error on socket transport",
    .is_socket = true,
};

PyObject *
fio_transport_owner(fio_stream *stream)
{
    return (PyObject *)fio_transport_of_stream(stream);
}

/* -- making one -----------------------------------------------------------------------------------
 */

FioTransport *
fio_transport_alloc(PyTypeObject *type, fio_state *st, FioLoop *loop)
{
    FioTransport *self = (FioTransport *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->st = st;
    self->fd = -1;
    /* Given back by fio_transport_dealloc(): the watch needs the loop until then. */
    self->stream.loop = (FioLoop *)Py_NewRef((PyObject *)loop);
    fio_shown_in_lists((PyObject *)self);
    fio_list_init(&self->stream.turn_end.node);
    self->stream.chunks = &self->stream.one;
    return self;
}

int
fio_transport_set_protocol(FioTransport *self, PyObject *protocol)
{
    fio_state *st = self->st;
    fio_stream *stream = &self->stream;
    stream->watch.carries_tls = PyObject_TypeCheck(protocol, st->TLSLinkType) != 0;
    if (fio_link_is_native(st, protocol)) {
        stream->link = &((FioLink *)protocol)->link;
        stream->link_owner = protocol;
        Py_XSETREF(self->protocol, Py_NewRef(protocol));
        return 0;
    }
    int buffered = stream->kind->is_socket ? PyObject_IsInstance(protocol, st->aio_BufferedProtocol)
                                           : 0; /* asyncio's pipes know only data_received() */
    if (buffered < 0) {
        return -1;
    }
    if (buffered && self->exported == NULL) {
        self->exported = PyMem_Calloc(1, sizeof(Py_buffer));
        if (self->exported == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    self->bridge.ops = buffered ? &fio_bridge_buffered_ops : &fio_bridge_protocol_ops;
    stream->link = &self->bridge;
    stream->link_owner = (PyObject *)self;
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    return 0;
}

static bool
transport_is_bridged(const FioTransport *self)
{
    return self->stream.link == &self->bridge;
}

static int
transport_soon(FioTransport *self, PyObject *callback, PyObject *arg)
{
    if (callback == NULL) {
        return -1;
    }
    PyObject *context = NULL;
    if (self->own_context != NULL) {
        context = Py_NewRef(self->own_context);
    }
    else if (self->stream.unattended && self->context != NULL) {
        /* asyncio: a copy of the reader's, for it is called out of that. */
        context = PyContext_Copy(self->context);
        if (context == NULL) {
            Py_DECREF(callback);
            return -1;
        }
    }
    PyObject *handle = fio_loop_call_soon(self->stream.loop, callback, arg, context);
    Py_DECREF(callback);
    Py_XDECREF(context);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

int
fio_transport_begin(FioTransport *self, PyObject *waiter)
{
    fio_state *st = self->st;
    self->link_is_due = !transport_is_bridged(self);
    if (!self->link_is_due
        && transport_soon(self, PyObject_GetAttr(self->protocol, st->str_connection_made),
                          (PyObject *)self)
               < 0) {
        return -1;
    }
    /* Only start reading, and only wake up the waiter, when connection_made() has been called. */
    return transport_soon(self, PyObject_GetAttr((PyObject *)self, st->str__start),
                          waiter == NULL ? Py_None : waiter);
}

int
fio_transport_start(FioTransport *self, PyObject *waiter)
{
    fio_stream *stream = &self->stream;
    /* One that connection_made() has set is told by who set it (start_tls). */
    bool is_due = self->link_is_due && !transport_is_bridged(self);
    self->link_is_due = false;
    if (is_due && stream->lost_count == 0) {
        FIO_SET_MONITOR(FIO_CONTAINER_OF(stream->link, FioLink, link), stream->loop);
        stream->link->ops->connected(stream->link, &stream->wire, (PyObject *)self);
    }
    if (self->context == NULL) {
        self->context = PyContext_CopyCurrent();
        if (self->context == NULL) {
            return -1;
        }
    }
    fio_stream_start(stream);
    if (waiter != Py_None) {
        return fio_future_set_result(self->st, waiter, Py_None);
    }
    return 0;
}

/* Without it a small answer waits for the peer's delayed acknowledgement; asyncio sets it too
 * (base_events._set_nodelay). Other families refuse, which is fine. */
static void
socket_set_nodelay(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Keeps the peer's address while the kernel still knows it. */
static int
transport_keep_peer(FioTransport *self, const fio_any_addr *known)
{
    fio_any_addr asked;
    if (known == NULL) {
        fio_addr_of_peer(self->fd, &asked);
        known = &asked;
        if (asked.size == 0 || asked.as.ss_family == AF_INET || asked.as.ss_family == AF_INET6) {
            socket_set_nodelay(self->fd);
        }
    }
    if (fio_addr_keep(&self->peer, known)) {
        return 0;
    }
    PyObject *name = fio_addr_to_python((const struct sockaddr *)&known->as, known->size);
    if (name == NULL) {
        return -1;
    }
    int result = fio_transport_put_extra(self, self->st->str_peername, name);
    Py_DECREF(name);
    return result;
}

/* The same for our own, which the kernel knows as long as the descriptor is ours. */
static int
transport_keep_local(FioTransport *self)
{
    if (self->local.size > 0) {
        return 0;
    }
    fio_any_addr local;
    fio_addr_of_socket(self->fd, &local);
    if (fio_addr_keep(&self->local, &local)) {
        return 0;
    }
    PyObject *value = NULL;
    int result = fio_transport_extra(self, self->st->str_sockname, &value);
    Py_XDECREF(value);
    return result < 0 ? -1 : 0;
}

static int
transport_attach(FioTransport *self, PyObject *server)
{
    if (server == NULL || server == Py_None) {
        return 0;
    }
    PyObject *none = NULL;
    if (FIO_SERVER_COUNTS_TRANSPORTS) {
        none = PyObject_CallMethodOneArg(server, self->st->str__attach, (PyObject *)self);
    }
    else {
        none = PyObject_CallMethodNoArgs(server, self->st->str__attach);
    }
    if (none == NULL) {
        return -1;
    }
    Py_DECREF(none);
    self->server = Py_NewRef(server);
    return 0;
}

static int
transport_detach(FioTransport *self)
{
    PyObject *server = self->server;
    if (server == NULL) {
        return 0;
    }
    self->server = NULL;
    PyObject *none = NULL;
    if (FIO_SERVER_COUNTS_TRANSPORTS) {
        none = PyObject_CallMethodOneArg(server, self->st->str__detach, (PyObject *)self);
    }
    else {
        none = PyObject_CallMethodNoArgs(server, self->st->str__detach);
    }
    Py_DECREF(server);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

FioTransport *
fio_transport_prepare(PyTypeObject *type, fio_state *st, const fio_transport_args *args,
                      const fio_stream_kind *kind)
{
    int fd = args->sock == NULL ? args->fd : fio_transport_fileno(st, args->sock);
    if (fd < 0) {
        return NULL;
    }
    FioTransport *self = fio_transport_alloc(type, st, args->loop);
    if (self == NULL) {
        return NULL;
    }
    fio_stream_init(&self->stream, kind, args->loop, fd);
    self->fd = fd;
    self->sock = Py_XNewRef(args->sock);
    self->stream.shared = args->sock != NULL;
    self->extra = Py_XNewRef(args->extra);
    self->context = Py_XNewRef(args->context);
    self->own_context = Py_XNewRef(args->context);
    if (transport_keep_peer(self, args->peer) < 0
        || (self->stream.shared && transport_keep_local(self) < 0)
        || fio_transport_set_protocol(self, args->protocol) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

PyObject *
fio_transport_new(fio_state *st, const fio_transport_args *args)
{
    FioTransport *self = fio_transport_prepare(st->TransportType, st, args, &socket_kind);
    if (self == NULL) {
        return NULL;
    }
    if (transport_attach(self, args->server) < 0 || fio_transport_begin(self, args->waiter) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->open = true;
    return (PyObject *)self;
}

/* -- failing and ending ---------------------------------------------------------------------------
 */

/* Closes the descriptor, by its socket object where there is one. */
static int
transport_close_descriptor(FioTransport *self)
{
    if (!self->open) {
        return 0;
    }
    if (self->stream.kind->is_socket && transport_keep_local(self) < 0) {
        PyErr_Clear();
    }
    bool ours = fio_stream_descriptor(&self->stream) >= 0; /* else it is another file's by now */
    PyObject *sock = self->sock;
    self->sock = NULL;
    self->open = false; /* first: output that is dropped may come here again */
    fio_stream_dispose(&self->stream);
    if (sock == NULL) {
        /* Nothing was promised to the peer that a failing close(2) could break. */
        if (ours) {
            (void)close(self->fd);
        }
        return 0;
    }
    PyObject *none = PyObject_CallMethodNoArgs(sock, self->st->str_close);
    Py_DECREF(sock);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

void
fio_transport_log(FioTransport *self, const char *level, const char *format)
{
    if (!self->stream.loop->debug) {
        return;
    }
    PyObject *none = PyObject_CallMethod(self->st->aio_logger, level, "sO", format, self);
    if (none == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(none);
}

static void
transport_log_error(FioTransport *self, const char *message, PyObject *exc)
{
    if (!self->stream.loop->debug) {
        return;
    }
    PyObject *debug = PyObject_GetAttrString(self->st->aio_logger, "debug");
    PyObject *args = Py_BuildValue("(sOs)", "%r: %s", (PyObject *)self, message);
    PyObject *kwargs = Py_BuildValue("{sO}", "exc_info", exc);
    PyObject *none = NULL;
    if (debug != NULL && args != NULL && kwargs != NULL) {
        none = PyObject_Call(debug, args, kwargs);
    }
    if (none == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(none);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(debug);
}

static void
transport_fail_waiter(FioTransport *self, PyObject *exc)
{
    if (self->empty_waiter != NULL
        && fio_future_set_exception(self->st, self->empty_waiter, exc) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

int
fio_transport_soon_eof(FioTransport *self)
{
    if (!transport_is_bridged(self)) {
        (void)self->stream.link->ops->eof(self->stream.link); /* the end comes either way */
        return 0;
    }
    return transport_soon(self, PyObject_GetAttr(self->protocol, self->st->str_eof_received), NULL);
}

/* Whether the exception is an everyday end of a connection, that only debug mode logs. */
static bool
transport_is_quiet(const FioTransport *self, PyObject *exc)
{
    if (!PyErr_GivenExceptionMatches(exc, PyExc_OSError)) {
        return false;
    }
    if (!self->stream.kind->reports_errors) {
        return true;
    }
    PyObject *number = ((PyOSErrorObject *)exc)->myerrno;
    return number != NULL && PyLong_Check(number) && PyLong_AsLong(number) == EIO;
}

static bool
transport_is_fatal(PyObject *exc)
{
    return PyErr_GivenExceptionMatches(exc, PyExc_KeyboardInterrupt)
           || PyErr_GivenExceptionMatches(exc, PyExc_SystemExit);
}

/* What is reported where the loop has come to us is reported in the transport's context, in which
 * the protocol's methods run; elsewhere in its caller's. NULL: nothing was entered. */
static PyObject *
transport_enter_context(FioTransport *self)
{
    PyObject *context = self->stream.unattended ? Py_XNewRef(self->context) : NULL;
    if (context != NULL && PyContext_Enter(context) < 0
        && fio_loop_reenter_context(self->stream.loop, &context) < 0) {
        PyErr_Clear(); /* it is the current one: out of a call of the protocol's */
        Py_CLEAR(context);
    }
    return context;
}

static void
transport_exit_context(FioTransport *self, FIO_STEALS PyObject *context)
{
    if (context != NULL && PyContext_Exit(context) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(context);
}

void
fio_transport_report(FioTransport *self, const char *message)
{
    PyObject *exc = PyErr_GetRaisedException();
    fio_report_context about = {.protocol = self->protocol, .transport = (PyObject *)self};
    PyObject *context = transport_enter_context(self);
    PyErr_SetRaisedException(exc);
    fio_loop_report(self->stream.loop, message, &about);
    transport_exit_context(self, context);
}

/* Calls a method that a program has put into the transport; false: there is none. `arg` and
 * `second` may be NULL. */
static bool
transport_calls_own(FioTransport *self, const char *name, PyObject *arg, const char *second)
{
    PyObject *method = fio_transport_stored(self, name);
    if (method == NULL) {
        return false;
    }
    PyObject *none = second == NULL ? PyObject_CallOneArg(method, arg == NULL ? Py_None : arg)
                                    : PyObject_CallFunction(method, "Os", arg, second);
    Py_DECREF(method);
    if (none == NULL) {
        fio_transport_report(self, "Exception in a method of a transport");
    }
    Py_XDECREF(none);
    return true;
}

void
fio_transport_force_close(FioTransport *self, PyObject *exc)
{
    if (!transport_calls_own(self, "_force_close", exc, NULL)) {
        fio_stream_force_close(&self->stream, exc);
    }
}

/* A _fatal_error() of the program's instead of ours; the exception is set. */
static bool
transport_fails_own_way(FioTransport *self, const char *message)
{
    if (FIO_LIKELY(self->dict == NULL)) {
        return false;
    }
    PyObject *exc = PyErr_GetRaisedException();
    bool called = transport_calls_own(self, "_fatal_error", exc, message);
    if (called) {
        Py_DECREF(exc);
    }
    else {
        PyErr_SetRaisedException(exc);
    }
    return called;
}

/* fio_transport_fatal() where nothing more can be sent. */
static void
transport_fatal_now(FioTransport *self, const char *message)
{
    PyObject *exc = PyErr_GetRaisedException();
    if (transport_is_fatal(exc)) {
        PyErr_SetRaisedException(exc);
        fio_transport_report(self, message);
        return;
    }
    if (transport_is_quiet(self, exc)) {
        PyObject *context = transport_enter_context(self);
        transport_log_error(self, message, exc);
        transport_exit_context(self, context);
    }
    else {
        PyErr_SetRaisedException(Py_NewRef(exc));
        fio_transport_report(self, message);
    }
    fio_transport_force_close(self, exc);
    transport_fail_waiter(self, exc);
    Py_DECREF(exc);
}

void
fio_transport_fatal(FioTransport *self, const char *message)
{
    if (!transport_fails_own_way(self, message)) {
        fio_transport_fatal_by_us(self, message);
    }
}

void
fio_transport_fatal_by_us(FioTransport *self, const char *message)
{
    /* What was written before is under way on asyncio. */
    PyObject *exc = PyErr_GetRaisedException();
    fio_stream_flush(&self->stream);
    PyErr_SetRaisedException(exc);
    transport_fatal_now(self, message);
}

void
fio_transport_failed(fio_stream *stream, int err, const char *message)
{
    if (err != 0) {
        fio_raise_errno(err);
    }
    FioTransport *self = fio_transport_of_stream(stream);
    if (!transport_fails_own_way(self, message)) {
        transport_fatal_now(self, message);
    }
}

int
fio_transport_commit(FioTransport *self)
{
    fio_stream *stream = &self->stream;
    FioLoop *loop = stream->loop;
    bool fatal_before = loop->fatal != NULL;
    fio_stream_commit(stream);
    if (FIO_UNLIKELY(loop->closed) && fio_stream_unsent(stream) > 0) {
        fio_stream_drop_output(stream);
        stream->blocked = false;
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    if (FIO_UNLIKELY(loop->fatal != NULL) && !fatal_before) {
        PyErr_SetRaisedException(loop->fatal);
        loop->fatal = NULL;
        return -1;
    }
    return 0;
}

static void
socket_ended(fio_stream *stream)
{
    FioTransport *self = fio_transport_of_stream(stream);
    fio_transport_log(self, "debug", "%r received EOF");
    if (!fio_stream_end_reading(stream)) {
        return;
    }
    PyObject *link_owner = Py_NewRef(stream->link_owner);
    bool keep_open = stream->link->ops->eof(stream->link);
    Py_DECREF(link_owner);
    fio_stream_update_watch(stream);
    if (!keep_open) {
        fio_stream_close(stream);
    }
}

static void
socket_drained(fio_stream *stream)
{
    FioTransport *self = fio_transport_of_stream(stream);
    if (self->empty_waiter != NULL
        && fio_future_set_result(self->st, self->empty_waiter, Py_None) < 0) {
        fio_transport_fatal(self, "Fatal write error on socket transport");
    }
}

/* From now on attributes that are set are only kept. */
static void
transport_begin_end(FioTransport *self)
{
    self->ending = true;
    self->shows_closing = 0;
}

void
fio_transport_finish(fio_stream *stream, PyObject *exc)
{
    FioTransport *self = fio_transport_of_stream(stream);
    transport_begin_end(self);
    PyObject *callback = PyObject_GetAttr((PyObject *)self, self->st->str__call_connection_lost);
    if (transport_soon(self, callback, exc == NULL ? Py_None : exc) < 0) {
        fio_report_context about = {.transport = (PyObject *)self};
        fio_loop_report(stream->loop, "Transport: connection_lost() cannot be called", &about);
    }
}

static int
transport_tell_lost(FioTransport *self, PyObject *exc)
{
    fio_stream *stream = &self->stream;
    PyObject *connected = stream->kind->is_socket
                              ? fio_transport_stored(self, "_protocol_connected")
                              : NULL;
    int result = connected == NULL ? 1 : PyObject_IsTrue(connected);
    Py_XDECREF(connected);
    PyObject *protocol = result <= 0 ? NULL : Py_XNewRef(self->protocol);
    result = result < 0 ? -1 : 0;
    if (protocol == NULL) {
        return result;
    }
    if (transport_is_bridged(self)) {
        result = fio_bridge_tell_lost(self, protocol, exc);
    }
    else {
        stream->link->ops->lost(stream->link, exc);
    }
    Py_DECREF(protocol);
    return result;
}

/* A step has failed, and others are still to be done: the first error is kept for the caller. */
static void
transport_keep_error(FioTransport *self, PyObject **kept)
{
    if (*kept == NULL) {
        *kept = PyErr_GetRaisedException();
    }
    else {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

/* What is done for the connection however its connection_lost() went. */
static int
transport_end(FioTransport *self)
{
    PyObject *raised = NULL;
    if (transport_close_descriptor(self) < 0) {
        transport_keep_error(self, &raised);
    }
    self->stream.link = NULL;
    self->stream.link_owner = NULL;
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->context);
    if (transport_detach(self) < 0) {
        transport_keep_error(self, &raised);
    }
    if (self->empty_waiter != NULL) {
        PyObject *closed = PyObject_CallFunction(PyExc_ConnectionError, "s",
                                                 "Connection is closed by peer");
        if (closed == NULL) {
            transport_keep_error(self, &raised);
        }
        else {
            transport_fail_waiter(self, closed);
            Py_DECREF(closed);
        }
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
        return -1;
    }
    return 0;
}

void
fio_transport_finish_now(fio_stream *stream)
{
    FioTransport *self = fio_transport_of_stream(stream);
    PyObject *own = Py_XNewRef(self->own_context);
    PyObject *context = own != NULL || self->context == NULL ? own : PyContext_Copy(self->context);
    if (context == NULL || PyContext_Enter(context) < 0) {
        PyErr_Clear();
        Py_XDECREF(context);
        fio_transport_finish(stream, NULL); /* not begun, or no memory: in a turn of its own */
        return;
    }
    int result = fio_transport_lose(self, NULL);
    if (PyContext_Exit(context) < 0) {
        result = -1;
    }
    Py_DECREF(context);
    if (result < 0) {
        fio_loop_report(stream->loop, "Exception in callback Transport._write_ready()", NULL);
    }
}

int
fio_transport_lose(FioTransport *self, PyObject *exc)
{
    Py_INCREF(self);
    PyObject *raised = NULL;
    transport_begin_end(self);
    self->stream.lost_count += self->stream.lost_count == 0; /* called by hand */
    if (transport_tell_lost(self, exc) < 0) {
        raised = PyErr_GetRaisedException();
    }
    int result = transport_end(self);
    if (raised != NULL) {
        /* The protocol's own error matters more than one of closing. */
        PyErr_SetRaisedException(raised);
        result = -1;
    }
    Py_DECREF(self);
    return result;
}

/* -- slots ----------------------------------------------------------------------------------------
 */

int
fio_transport_traverse(FioTransport *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->extra);
    Py_VISIT(self->high_limit);
    Py_VISIT(self->low_limit);
    Py_VISIT(self->dict);
    Py_VISIT(self->aside);
    Py_VISIT(self->protocol);
    Py_VISIT(self->sock);
    Py_VISIT(self->server);
    Py_VISIT(self->context);
    Py_VISIT(self->own_context);
    Py_VISIT(self->empty_waiter);
    Py_VISIT(self->incoming);
    Py_VISIT(self->stream.loop);
    return fio_stream_traverse(&self->stream, visit, arg);
}

int
fio_transport_clear(FioTransport *self)
{
    FIO_HOLD(self->stream.loop);
    fio_stream *stream = &self->stream;
    fio_stream_drop_output(stream);
    stream->wire.closing = true;
    stream->lost_count += stream->lost_count == 0;
    stream->link = NULL;
    stream->link_owner = NULL;
    Py_CLEAR(self->extra);
    Py_CLEAR(self->high_limit);
    Py_CLEAR(self->low_limit);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->aside);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->server);
    Py_CLEAR(self->context);
    Py_CLEAR(self->own_context);
    Py_CLEAR(self->empty_waiter);
    fio_bridge_clear(self);
    return 0;
}

/* asyncio: _SelectorTransport.__del__. A descriptor that is still open belongs to nobody now. */
void
fio_transport_finalize(FioTransport *self)
{
    FIO_HOLD(self->stream.loop);
    if (!self->open) {
        if (self->stream.watch.open) {
            fio_stream_dispose(&self->stream); /* begun by somebody before it was made */
        }
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (PyErr_ResourceWarning((PyObject *)self, 1, "unclosed transport %R", (PyObject *)self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (transport_close_descriptor(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (FIO_SERVER_COUNTS_TRANSPORTS && transport_detach(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

void
fio_transport_dealloc(FioTransport *self)
{
    PyTypeObject *type = Py_TYPE(self);
    /* The watch may have to be closed first: then the object lives until that has come round. */
    if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)type->tp_clear((PyObject *)self);
    Py_CLEAR(self->stream.loop);
    type->tp_free(self);
    Py_DECREF(type);
}
