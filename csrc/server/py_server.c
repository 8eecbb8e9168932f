/* The Python type HttpServer: its arguments, what it tells, and the steps of a shutdown. */

#include "base/aio.h"
#include "base/args.h"
#include "server/conn.h"

#include <math.h>

/* Seconds; each with its peers' reasons in docs: a head must be there in 10 (nginx: 60, but a
 * slow-loris needs one connection each), an idle connection lives 75 as nginx's. */
#define HEAD_TIMEOUT 10.0
#define IDLE_TIMEOUT 75.0
#define BODY_TIMEOUT 60.0
#define WRITE_TIMEOUT 60.0
/* How long a peer may take to close after our last answer (nginx: lingering_timeout). */
#define CLOSE_TIMEOUT 5.0
#define MAX_PIPELINED 64
/* Limits that a setting may reach: spans are 32 bits wide. */
#define MAX_SETTABLE (1 << 30)

enum {
    ARG_HANDLER,
    ARG_ROUTER,
    ARG_REQUEST_TYPE,
    ARG_FINISH,
    ARG_LOOP,
    ARG_MAX_LINE,
    ARG_MAX_FIELD,
    ARG_MAX_FIELDS,
    ARG_MAX_HEAD,
    ARG_MAX_BODY,
    ARG_CLIENT_MAX_SIZE,
    ARG_HEAD_TIMEOUT,
    ARG_KEEPALIVE_TIMEOUT,
    ARG_BODY_TIMEOUT,
    ARG_WRITE_TIMEOUT,
    ARG_MAX_PIPELINED,
    ARG_SERVER_HEADER,
    ARG_ACCESS_LOG,
    ARG_LOGGER,
    ARG_HANDLER_CANCELLATION,
    ARG_DEBUG,
    ARGS,
};

static const char *const server_params[] = {
    "handler",
    "router",
    "request_type",
    "finish",
    "loop",
    "max_line",
    "max_field",
    "max_fields",
    "max_head",
    "max_body",
    "client_max_size",
    "head_timeout",
    "keepalive_timeout",
    "body_timeout",
    "write_timeout",
    "max_pipelined",
    "server_header",
    "access_log",
    "logger",
    "handler_cancellation",
    "debug",
    NULL,
};

PyDoc_STRVAR(
    server_doc,
    "HttpServer(handler=None, *, router=None, request_type=None, finish=None, loop=None,\n"
    "           max_line=8190, max_field=8190, max_fields=128, max_head=65536, max_body=1048576,\n"
    "           client_max_size=1048576, head_timeout=10.0, keepalive_timeout=75.0,\n"
    "           body_timeout=60.0, write_timeout=60.0, max_pipelined=64, server_header=None,\n"
    "           access_log=None, logger=None, handler_cancellation=False, debug=False)\n--\n\n"
    "What the HTTP/1.1 connections of one application on one loop share.\n\n"
    "`handler(request)` gives a response or an awaitable of one; with a `router` its routes'\n"
    "handlers are called instead. `finish(request, response)` is a coroutine function that sends\n"
    "what cannot be sent in one go. Sizes are in bytes (0: no limit of max_body and\n"
    "client_max_size), time-outs in seconds (None or 0: none). `access_log(request, response,\n"
    "seconds)` is called after each answer, unless its attribute `enabled` is false.");

static int
setting_limit(PyObject *value, const char *name, uint32_t most, uint32_t *limit)
{
    uint64_t size = *limit;
    if (fio_args_number(name, value, most, &size) < 0) {
        return -1;
    }
    if (size == 0) {
        PyErr_Format(PyExc_ValueError, "%s must not be 0", name);
        return -1;
    }
    *limit = (uint32_t)size;
    return 0;
}

static int
setting_timeout(PyObject *value, const char *name, double seconds, int64_t *timeout)
{
    if (value == Py_None) {
        seconds = 0;
    }
    else if (value != NULL) {
        seconds = PyFloat_AsDouble(value);
        if (seconds == -1.0 && PyErr_Occurred()) {
            return -1;
        }
    }
    /* A century is as good as never, and its nanoseconds fit. */
    if (!(seconds >= 0 && isfinite(seconds))) {
        PyErr_Format(PyExc_ValueError, "%s must be a finite number of seconds >= 0", name);
        return -1;
    }
    *timeout = (int64_t)(fmin(seconds, 3.2e9) * 1e9);
    return 0;
}

static int
server_set_limits(FioServer *self, PyObject *const *args)
{
    self->limits = fio_limits_default;
    fio_limits *limits = &self->limits;
    self->client_max_size = limits->body;
    self->max_pipelined = MAX_PIPELINED;
    if (setting_limit(args[ARG_MAX_LINE], "max_line", MAX_SETTABLE, &limits->line) < 0
        || setting_limit(args[ARG_MAX_FIELD], "max_field", MAX_SETTABLE, &limits->field) < 0
        || setting_limit(args[ARG_MAX_FIELDS], "max_fields", FIO_FIELDS_MAX, &limits->fields) < 0
        || setting_limit(args[ARG_MAX_HEAD], "max_head", MAX_SETTABLE, &limits->head) < 0
        || setting_limit(args[ARG_MAX_PIPELINED], "max_pipelined", MAX_SETTABLE,
                         &self->max_pipelined)
               < 0
        || fio_args_number("max_body", args[ARG_MAX_BODY], INT64_MAX, &limits->body) < 0) {
        return -1;
    }
    return fio_args_number("client_max_size", args[ARG_CLIENT_MAX_SIZE], INT64_MAX,
                           &self->client_max_size);
}

static int
server_set_timeouts(FioServer *self, PyObject *const *args)
{
    int64_t *timeouts = self->timeouts;
    if (setting_timeout(args[ARG_HEAD_TIMEOUT], "head_timeout", HEAD_TIMEOUT,
                        &timeouts[FIO_WAIT_HEAD])
            < 0
        || setting_timeout(args[ARG_KEEPALIVE_TIMEOUT], "keepalive_timeout", IDLE_TIMEOUT,
                           &timeouts[FIO_WAIT_IDLE])
               < 0
        || setting_timeout(args[ARG_BODY_TIMEOUT], "body_timeout", BODY_TIMEOUT,
                           &timeouts[FIO_WAIT_BODY])
               < 0) {
        return -1;
    }
    timeouts[FIO_WAIT_CLOSE] = (int64_t)(CLOSE_TIMEOUT * 1e9);
    return setting_timeout(args[ARG_WRITE_TIMEOUT], "write_timeout", WRITE_TIMEOUT,
                           &timeouts[FIO_WAIT_WRITE]);
}

static int
server_set_header(FioServer *self, PyObject *name)
{
    if (name == NULL || name == Py_None) {
        return 0;
    }
    Py_ssize_t size = 0;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);
    if (text == NULL) {
        return -1;
    }
    if (size > 128 || !fio_is_line_text((fio_view){text, (size_t)size})) {
        PyErr_SetString(PyExc_ValueError,
                        "server_header must be a line of at most 128 bytes of text");
        return -1;
    }
    (void)PyOS_snprintf(self->server_line, sizeof(self->server_line), "Server: %s\r\n", text);
    return 0;
}

static int
server_set_application(FioServer *self, PyObject *const *args)
{
    fio_state *st = self->st;
    PyObject *router = args[ARG_ROUTER];
    PyObject *type = args[ARG_REQUEST_TYPE];
    if (router != NULL && router != Py_None) {
        if (!PyObject_TypeCheck(router, st->RouterType)) {
            PyErr_Format(PyExc_TypeError, "router must be a Router, got %.200s",
                         Py_TYPE(router)->tp_name);
            return -1;
        }
        self->router = (FioRouter *)Py_NewRef(router);
    }
    self->handler = Py_XNewRef(fio_none_as_null(args[ARG_HANDLER]));
    if (self->router == NULL && (self->handler == NULL || !PyCallable_Check(self->handler))) {
        PyErr_SetString(PyExc_TypeError, "a callable handler or a router is needed");
        return -1;
    }
    if (type == NULL || type == Py_None) {
        type = (PyObject *)st->RequestType;
    }
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, st->RequestType)) {
        PyErr_SetString(PyExc_TypeError, "request_type must be a subclass of Request");
        return -1;
    }
    self->request_type = (PyTypeObject *)Py_NewRef(type);
    self->finish = Py_XNewRef(fio_none_as_null(args[ARG_FINISH]));
    self->access.log = Py_XNewRef(fio_none_as_null(args[ARG_ACCESS_LOG]));
    self->logger = Py_XNewRef(fio_none_as_null(args[ARG_LOGGER]));
    return 0;
}

static int
server_set_loop(FioServer *self, PyObject *loop)
{
    if (loop == NULL || loop == Py_None) {
        return 0;
    }
    self->loop = Py_NewRef(loop);
    self->own_loop = PyObject_TypeCheck(loop, self->st->LoopType) ? (FioLoop *)loop : NULL;
    FIO_SET_MONITOR(self, loop);
    self->context = PyContext_CopyCurrent();
    return self->context == NULL ? -1 : 0;
}

static int
server_set_flags(FioServer *self, PyObject *const *args)
{
    int cancellation = args[ARG_HANDLER_CANCELLATION] == NULL
                           ? 0
                           : PyObject_IsTrue(args[ARG_HANDLER_CANCELLATION]);
    int debug = args[ARG_DEBUG] == NULL ? 0 : PyObject_IsTrue(args[ARG_DEBUG]);
    self->handler_cancellation = cancellation > 0;
    self->debug = debug > 0;
    return cancellation < 0 || debug < 0 ? -1 : 0;
}

static PyObject *
server_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const fio_params spec = {"HttpServer", server_params, 1, 0};
    PyObject *values[ARGS] = {NULL};
    if (fio_args_parse_tuple(&spec, args, kwargs, values) < 0) {
        return NULL;
    }
    FioServer *self = (FioServer *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->st = fio_state_of_type(type);
    fio_shown_in_lists((PyObject *)self);
    fio_list_init(&self->connections);
    for (int what = 0; what < FIO_WAITS; what++) {
        fio_list_init(&self->waits[what]);
    }
    if (server_set_application(self, values) < 0 || server_set_limits(self, values) < 0
        || server_set_timeouts(self, values) < 0
        || server_set_header(self, values[ARG_SERVER_HEADER]) < 0
        || server_set_flags(self, values) < 0 || server_set_loop(self, values[ARG_LOOP]) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
server_traverse(FioServer *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->context);
    Py_VISIT(self->handler);
    Py_VISIT(self->router);
    Py_VISIT(self->request_type);
    Py_VISIT(self->finish);
    Py_VISIT(self->logger);
    Py_VISIT(self->empty_waiter);
    Py_VISIT(self->timer_handle);
    Py_VISIT(self->stand_in);
    Py_VISIT(self->access.log);
    FIO_VISIT_MONITOR(self);
    return 0;
}

static int
server_clear(FioServer *self)
{
    FIO_HOLD_MONITOR_IN_CLEAR(self);
    if (self->timer.place != 0) {
        fio_timer_stop(self->own_loop, &self->timer);
    }
    Py_CLEAR(self->loop);
    Py_CLEAR(self->context);
    Py_CLEAR(self->handler);
    Py_CLEAR(self->router);
    Py_CLEAR(self->request_type);
    Py_CLEAR(self->finish);
    Py_CLEAR(self->logger);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->timer_handle);
    Py_CLEAR(self->stand_in);
    Py_CLEAR(self->access.log);
    return 0;
}

static void
server_dealloc(FioServer *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)server_clear(self);
    FIO_CLEAR_MONITOR(self);
    while (self->parser_count > 0) {
        PyMem_Free(self->parsers[--self->parser_count]);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* -- methods --------------------------------------------------------------------------------------
 */

static PyObject *
server_connections(FioServer *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    PyObject *list = PyList_New(0);
    if (list == NULL) {
        return NULL;
    }
    for (fio_node *node = self->connections.next; node != &self->connections; node = node->next) {
        PyObject *conn = (PyObject *)FIO_CONTAINER_OF(node, FioConn, member);
        if (!fio_try_ref(conn)) {
            continue;
        }
        int result = PyList_Append(list, conn);
        Py_DECREF(conn);
        if (result < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

/* Calls `act` on each connection there is now. */
static PyObject *
server_for_each(FioServer *self, void (*act)(FioConn *conn))
{
    FIO_HOLD_MONITOR(self);
    PyObject *list = server_connections(self, NULL);
    if (list == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        act((FioConn *)PyList_GET_ITEM(list, i));
    }
    Py_DECREF(list);
    Py_RETURN_NONE;
}

static PyObject *
server_pre_shutdown(FioServer *self, PyObject *Py_UNUSED(ignored))
{
    self->shutting_down = true;
    return server_for_each(self, fio_conn_shut);
}

static PyObject *
server_cancel_handlers(FioServer *self, PyObject *Py_UNUSED(ignored))
{
    return server_for_each(self, fio_conn_cancel_handler);
}

static PyObject *
server_close(FioServer *self, PyObject *Py_UNUSED(ignored))
{
    self->shutting_down = true;
    return server_for_each(self, fio_conn_abort);
}

static PyObject *
server_wait_empty(FioServer *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(self);
    if (self->connection_count == 0) {
        return fio_ready_new(self->st, Py_None);
    }
    if (self->empty_waiter == NULL) {
        PyObject *waiter = fio_future_new(self->st, self->loop);
        if (self->connection_count == 0 && waiter != NULL) { /* they have gone meanwhile */
            Py_DECREF(waiter);
            return fio_ready_new(self->st, Py_None);
        }
        if (self->empty_waiter == NULL) {
            self->empty_waiter = waiter;
        }
        else {
            Py_XDECREF(waiter);
        }
    }
    return Py_XNewRef(self->empty_waiter);
}

static PyObject *
server_counters(FioServer *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return fio_access_counters(&self->access);
}

static PyObject *
server_requests_count(FioServer *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return PyLong_FromUnsignedLongLong(self->access.requests);
}

static PyObject *
server_connection_count(FioServer *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return PyLong_FromSize_t(self->connection_count);
}

static PyObject *
server_loop(FioServer *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return Py_NewRef(self->loop == NULL ? Py_None : self->loop);
}

static PyMethodDef server_methods[] = {
    {"pre_shutdown", (PyCFunction)server_pre_shutdown, METH_NOARGS,
     PyDoc_STR("pre_shutdown($self, /)\n--\n\nCloses idle connections; busy ones close after the "
               "answer they are at, and new ones at once.")},
    {"cancel_handlers", (PyCFunction)server_cancel_handlers, METH_NOARGS,
     PyDoc_STR("cancel_handlers($self, /)\n--\n\nCancels the tasks of all handlers that wait.")},
    {"close", (PyCFunction)server_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nAborts all connections.")},
    {"wait_empty", (PyCFunction)server_wait_empty, METH_NOARGS,
     PyDoc_STR("wait_empty($self, /)\n--\n\nAn awaitable, done once no connection is open.")},
    {"_tick", (PyCFunction)fio_server_tick, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef server_getset[] = {
    {"connections", (getter)server_connections, NULL,
     PyDoc_STR("The open connections: a list of ServerProtocol."), NULL},
    {"connection_count", (getter)server_connection_count, NULL,
     PyDoc_STR("Number of open connections."), NULL},
    {"requests_count", (getter)server_requests_count, NULL,
     PyDoc_STR("Number of requests answered."), NULL},
    {"counters", (getter)server_counters, NULL,
     PyDoc_STR("Numbers of connections, requests and answers by class, as a dict."), NULL},
    {"loop", (getter)server_loop, NULL,
     PyDoc_STR("The event loop of the connections; None before the first one."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot server_slots[] = {
    {Py_tp_doc, FIO_UNCONST(server_doc)}, {Py_tp_new, server_new},
    {Py_tp_dealloc, server_dealloc},      {Py_tp_traverse, server_traverse},
    {Py_tp_clear, server_clear},          {Py_tp_methods, server_methods},
    {Py_tp_getset, server_getset},        {0, NULL},
};

static PyType_Spec server_spec = {
    .name = "fastaio._core.HttpServer",
    .basicsize = sizeof(FioServer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = server_slots,
};

int
fio_server_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->HttpServerType, &server_spec, NULL);
}
