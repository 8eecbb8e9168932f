/* _core.Listener: accepts connections of one listening socket and makes their transports, in
 * batches, with asyncio's answer to a process that has run out of descriptors
 * (selector_events._accept_connection). */

#include "net/listener.h"

#include "base/args.h"
#include "base/errors.h"
#include "net/transport.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Connections accepted in one go, however long the queue: the ones already open get their turn. */
#define LISTENER_BATCH 64

/* Out of descriptors or memory: seconds before the next try (asyncio.constants). */
#define LISTENER_RETRY_DELAY 1

typedef struct {
    PyObject_HEAD
    fio_state *st;       /* borrowed: the type keeps the module alive */
    FioLoop *loop;       /* owned */
    PyObject *sock;      /* owned; its owner, the Server, closes it after stop() */
    PyObject *factory;   /* owned: makes a protocol */
    PyObject *server;    /* owned or NULL */
    PyObject *on_accept; /* owned or NULL: takes the socket object instead (TLS) */
    PyObject *context;   /* owned: contextvars.Context of the calls made here */
    bool context_each;   /* it was given: a connection's copy of it is for all its calls */
    fio_watch watch;     /* holds a reference to self while open */
    PyObject *retry;     /* owned or NULL: the TimerHandle, while the process is out of resources */
    int fd;
    int batch;
} FioListener;

static int
listener_take(FioListener *self, int fd, const fio_any_addr *peer, PyObject *context,
              PyObject **protocol)
{
    FIO_LET_GO(self->loop);
    *protocol = PyObject_CallNoArgs(self->factory);
    FIO_TAKE_BACK();
    if (*protocol == NULL) {
        return -1;
    }
    const fio_transport_args args = {
        .loop = self->loop,
        .fd = fd,
        .protocol = *protocol,
        .server = self->server,
        .context = self->context_each ? context : NULL,
        .peer = peer,
    };
    PyObject *transport = fio_transport_new(self->st, &args);
    Py_XDECREF(transport);
    return transport == NULL ? -1 : 0;
}

static PyObject *
listener_wrap(FioListener *self, int fd)
{
    PyObject *sock = PyObject_CallFunction(self->st->socket_socket, "iiii", -1, -1, -1, fd);
    PyObject *none = NULL;
    if (sock != NULL) {
        none = PyObject_CallMethodOneArg(sock, self->st->str_setblocking, Py_False);
        if (none == NULL) {
            fio_socket_unwrap(self->st, sock);
            Py_CLEAR(sock);
        }
    }
    Py_XDECREF(none);
    return sock;
}

/* Shows the connection as a socket object: to debug mode's log, as asyncio does, or for good to
 * on_accept(sock, address). */
static int
listener_show(FioListener *self, int fd, const fio_any_addr *peer, bool for_good)
{
    PyObject *sock = listener_wrap(self, fd);
    if (sock == NULL) {
        return -1;
    }
    PyObject *address = fio_addr_to_python((const struct sockaddr *)&peer->as, peer->size);
    PyObject *result = NULL;
    if (address != NULL && for_good) {
        result = PyObject_CallFunctionObjArgs(self->on_accept, sock, address, NULL);
    }
    else if (address != NULL) {
        result = PyObject_CallMethod(self->st->aio_logger, "debug", "sOOO",
                                     "%r got a new connection from %r: %r",
                                     self->server == NULL ? Py_None : self->server, address, sock);
    }
    if (result == NULL || !for_good) {
        fio_socket_unwrap(self->st, sock); /* the descriptor is the caller's still */
    }
    Py_XDECREF(address);
    Py_DECREF(sock);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* asyncio: _accept_connection2: only debug mode hears of a connection that came to nothing. */
static void
listener_failed(FioListener *self, PyObject *protocol)
{
    fio_report_context about = {.protocol = fio_none_as_null(protocol)};
    if (self->loop->debug || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
        || PyErr_ExceptionMatches(PyExc_SystemExit)) {
        fio_loop_report(self->loop, "Error on transport creation for incoming connection", &about);
        return;
    }
    PyErr_Clear();
}

static void
listener_welcome(FioListener *self, int fd, const fio_any_addr *peer)
{
    PyObject *protocol = NULL;
    /* What a factory sets is for its connection alone, as in asyncio's task for each. */
    PyObject *context = PyContext_Copy(self->context);
    int result = context == NULL ? -1 : PyContext_Enter(context);
    if (FIO_UNLIKELY(result < 0 && context != NULL)) {
        result = fio_loop_reenter_context(self->loop, &context);
    }
    if (result == 0) {
        if (self->loop->debug && listener_show(self, fd, peer, false) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        result = self->on_accept == NULL ? listener_take(self, fd, peer, context, &protocol)
                                         : listener_show(self, fd, peer, true);
        if (PyContext_Exit(context) < 0) {
            result = -1;
        }
    }
    if (result < 0) {
        (void)close(fd); /* never used */
        listener_failed(self, protocol);
    }
    Py_XDECREF(protocol);
    Py_XDECREF(context);
}

static void
listener_listen(FioListener *self)
{
    if (self->watch.open) {
        fio_watch_set(&self->watch, UV_READABLE);
    }
}

static void
listener_drop_retry(FioListener *self)
{
    PyObject *retry = self->retry;
    self->retry = NULL;
    if (retry != NULL) {
        PyObject *raised = PyErr_GetRaisedException();
        PyObject *none = PyObject_CallMethod(retry, "cancel", NULL);
        if (none == NULL) {
            PyErr_WriteUnraisable(retry);
        }
        Py_XDECREF(none);
        Py_DECREF(retry);
        PyErr_SetRaisedException(raised);
    }
}

/* Tells the exception handler once, then leaves the queue alone for a while. */
static void
listener_out_of_resources(FioListener *self, int err)
{
    PyObject *exc = fio_oserror_from_errno(err);
    PyObject *sock = PyObject_CallOneArg(self->st->aio_TransportSocket, self->sock);
    PyObject *none = NULL;
    if (exc != NULL && sock != NULL) {
        none = PyObject_CallMethod(
            (PyObject *)self->loop, "call_exception_handler", "({s:s,s:O,s:O})", "message",
            "socket.accept() out of system resource", "exception", exc, "socket", sock);
    }
    if (none == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(none);
    Py_XDECREF(sock);
    Py_XDECREF(exc);
    if (!self->watch.open) {
        return;
    }
    fio_watch_set(&self->watch, 0);
    PyObject *retry = PyObject_GetAttrString((PyObject *)self, "_retry");
    if (retry != NULL) {
        /* By loop.time(), whose clock it may be. */
        Py_SETREF(retry, PyObject_CallMethod((PyObject *)self->loop, "call_later", "iO",
                                             LISTENER_RETRY_DELAY, retry));
    }
    if (retry == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
        listener_listen(self);
        return;
    }
    Py_XSETREF(self->retry, retry);
    if (!self->watch.open) {
        listener_drop_retry(self);
    }
}

static PyObject *
listener_py_retry(FioListener *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->loop);
    Py_CLEAR(self->retry);
    listener_listen(self);
    Py_RETURN_NONE;
}

static void
listener_accept_failed(FioListener *self, int err)
{
    switch (err) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
        return;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        listener_out_of_resources(self, err);
        return;
    default:
        fio_raise_errno(err);
        fio_loop_report(self->loop, "Exception in accept()", NULL);
    }
}

static void
listener_on_ready(fio_watch *watch, int Py_UNUSED(events))
{
    FioListener *self = FIO_CONTAINER_OF(watch, FioListener, watch);
    Py_INCREF(self);
    for (int accepted = 0; accepted < self->batch && self->watch.open && self->loop->fatal == NULL;
         accepted++) {
        fio_any_addr peer = {.size = sizeof(peer.as)};
        int fd = accept4(self->fd, (struct sockaddr *)&peer.as, &peer.size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            listener_accept_failed(self, errno);
            break;
        }
        listener_welcome(self, fd, &peer);
    }
    Py_DECREF(self);
}

static void
listener_on_closed(fio_watch *watch)
{
    FioListener *self = FIO_CONTAINER_OF(watch, FioListener, watch);
    /* Of the open watch, taken by listener_open(). */
    self->watch.keeps = NULL;
    listener_drop_retry(self);
    Py_DECREF(self);
}

/* Others have closed the socket, or registered its descriptor for themselves. */
static void
listener_on_displaced(fio_watch *watch)
{
    fio_watch_close(watch);
}

static int
listener_open(FioListener *self)
{
    self->fd = fio_transport_fileno(self->st, self->sock);
    if (self->fd < 0) {
        return -1;
    }
    /* Accepted sockets inherit it, which saves a call for each (see also socket_set_nodelay());
     * a Unix socket refuses. */
    const int on = 1;
    (void)setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    self->watch.on_ready = listener_on_ready;
    self->watch.on_closed = listener_on_closed;
    self->watch.on_displaced = listener_on_displaced;
    self->watch.yields = true;
    if (fio_watch_open(self->loop, &self->watch, self->fd) < 0) {
        return -1;
    }
    self->watch.keeps = Py_NewRef((PyObject *)self);
    fio_watch_set(&self->watch, UV_READABLE);
    return 0;
}

static PyObject *
listener_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"loop",    "sock",      "protocol_factory", "server",
                                        "backlog", "on_accept", "context",          NULL};
    static const fio_params params = {"Listener", names, 7, 3};
    PyObject *given[] = {NULL, NULL, NULL, Py_None, NULL, Py_None, Py_None};
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0) {
        return NULL;
    }
    fio_state *st = fio_state_of_type(type);
    if (!fio_args_is("loop", given[0], st->LoopType, "a fastaio loop")
        || (given[6] != Py_None
            && !fio_args_is("context", given[6], &PyContext_Type, "a contextvars.Context"))) {
        return NULL;
    }
    FIO_HOLD(given[0]);
    long backlog = given[4] == NULL ? LISTENER_BATCH : PyLong_AsLong(given[4]);
    if (backlog == -1 && PyErr_Occurred()) {
        return NULL;
    }
    FioListener *self = (FioListener *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->st = st;
    self->loop = (FioLoop *)Py_NewRef(given[0]);
    self->sock = Py_NewRef(given[1]);
    self->factory = Py_NewRef(given[2]);
    self->server = Py_XNewRef(fio_none_as_null(given[3]));
    self->on_accept = Py_XNewRef(fio_none_as_null(given[5]));
    self->batch = backlog < 1 ? 1 : backlog < LISTENER_BATCH ? (int)backlog : LISTENER_BATCH;
    self->context_each = given[6] != Py_None;
    self->context = self->context_each ? Py_NewRef(given[6]) : PyContext_CopyCurrent();
    if (self->context == NULL || listener_open(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *
listener_stop(FioListener *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->loop);
    listener_drop_retry(self);
    fio_watch_close(&self->watch);
    Py_RETURN_NONE;
}

static int
listener_traverse(FioListener *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->sock);
    Py_VISIT(self->factory);
    Py_VISIT(self->server);
    Py_VISIT(self->on_accept);
    Py_VISIT(self->context);
    Py_VISIT(self->retry);
    return 0;
}

static int
listener_clear(FioListener *self)
{
    Py_CLEAR(self->sock);
    Py_CLEAR(self->factory);
    Py_CLEAR(self->server);
    Py_CLEAR(self->on_accept);
    Py_CLEAR(self->context);
    Py_CLEAR(self->retry);
    return 0;
}

static void
listener_dealloc(FioListener *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)listener_clear(self);
    Py_CLEAR(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    listener_doc,
    "Listener(loop, sock, protocol_factory, server=None, backlog=64, on_accept=None,\n"
    "         context=None)\n"
    "--\n\n"
    "Accepts connections of the listening socket ``sock`` from now until stop(). Each gets "
    "a protocol\nof ``protocol_factory`` and a Transport; with ``on_accept``, it is called "
    "with the socket and the\npeer's address instead. Of ``context``, every connection has a copy "
    "of its own.");

PyDoc_STRVAR(listener_stop_doc,
             "stop($self, /)\n--\n\nAccepts no more; the socket stays open. Idempotent.");

static PyMethodDef listener_methods[] = {
    {"_retry", FIO_METHOD(listener_py_retry), METH_NOARGS, NULL},
    {"stop", FIO_METHOD(listener_stop), METH_NOARGS, listener_stop_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot listener_slots[] = {
    {Py_tp_doc, FIO_UNCONST(listener_doc)},
    {Py_tp_new, listener_new},
    {Py_tp_dealloc, listener_dealloc},
    {Py_tp_traverse, listener_traverse},
    {Py_tp_clear, listener_clear},
    {Py_tp_methods, listener_methods},
    {0, NULL},
};

static PyType_Spec listener_spec = {
    .name = "fastaio._core.Listener",
    .basicsize = sizeof(FioListener),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = listener_slots,
};

int
fio_listener_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->ListenerType, &listener_spec, NULL);
}
