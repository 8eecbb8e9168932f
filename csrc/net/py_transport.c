/* _core.Transport as Python sees it: the constructor, the methods that are not about writing, the
 * attributes that asyncio's code and libraries read, and the type. */

#include "net/py_transport.h"

#include "base/args.h"

PyObject *
fio_transport_py_start(FioTransport *self, PyObject *waiter)
{
    FIO_HOLD(self->stream.loop);
    if (fio_transport_start(self, waiter) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_call_connection_lost(FioTransport *self, PyObject *exc)
{
    FIO_HOLD(self->stream.loop);
    if (fio_transport_lose(self, fio_none_as_null(exc)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_fatal_error(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames)
{
    FIO_HOLD(self->stream.loop);
    static const char *const names[] = {"exc", "message", NULL};
    static const fio_params params = {"_fatal_error", names, 2, 1};
    PyObject *given[] = {NULL, NULL};
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    if (!fio_args_is("exc", given[0], (PyTypeObject *)PyExc_BaseException, "an exception")) {
        return NULL;
    }
    const char *message = "Fatal error on transport";
    if (given[1] != NULL && (message = PyUnicode_AsUTF8(given[1])) == NULL) {
        return NULL;
    }
    PyErr_SetRaisedException(Py_NewRef(given[0]));
    fio_transport_fatal_by_us(self, message);
    Py_RETURN_NONE;
}

/* Somebody, a test for instance, may have put another get_extra_info() into asyncio's classes, from
 * which its transports inherit it: 1 with *other set, 0, or -1. */
static int
transport_other_extra_info(FioTransport *self, PyObject **other)
{
    fio_state *st = self->st;
    *other = PyObject_GetAttr(st->aio_FlowControlMixin, st->str_get_extra_info);
    if (*other == NULL) {
        return -1;
    }
    if (*other == st->aio_get_extra_info) {
        Py_CLEAR(*other);
        return 0;
    }
    if (PyFunction_Check(*other)) {
        Py_SETREF(*other, PyMethod_New(*other, (PyObject *)self));
    }
    return *other == NULL ? -1 : 1;
}

PyObject *
fio_transport_py_get_extra_info(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    FIO_HOLD(self->stream.loop);
    static const char *const names[] = {"name", "default", NULL};
    static const fio_params params = {"get_extra_info", names, 2, 1};
    PyObject *given[] = {NULL, Py_None};
    PyObject *value = NULL;
    int patched = transport_other_extra_info(self, &value);
    if (patched != 0) {
        PyObject *result = patched < 0 ? NULL
                                       : PyObject_Vectorcall(value, args, (size_t)nargs, kwnames);
        Py_XDECREF(value);
        return result;
    }
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0) {
        return fio_transport_refuse(self, params.function, args, nargs, kwnames);
    }
    if (fio_transport_extra(self, given[0], &value) < 0) {
        return NULL;
    }
    return value == NULL ? Py_NewRef(given[1]) : value;
}

PyObject *
fio_transport_py_set_protocol(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    FIO_HOLD(self->stream.loop);
    PyObject *protocol = fio_args_one("set_protocol", "protocol", args, nargs, kwnames);
    if (protocol == NULL) {
        return fio_transport_refuse(self, "set_protocol", args, nargs, kwnames);
    }
    if (fio_transport_set_protocol(self, protocol) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_get_protocol(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    return Py_NewRef(self->protocol == NULL ? Py_None : self->protocol);
}

PyObject *
fio_transport_py_is_closing(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    if (FIO_UNLIKELY(self->aside != NULL)) {
        return PyObject_GetAttrString((PyObject *)self, "_closing");
    }
    return PyBool_FromLong(fio_transport_is_closing(self));
}

/* Ending a transport needs one more turn of its loop. On a closed one it fails where asyncio's
 * does, with what asyncio has done by then; in debug mode in another thread, too, but with nothing
 * done, for asyncio's can never be ended then. */
static int
transport_check_loop(FioTransport *self)
{
    fio_stream *stream = &self->stream;
    if (stream->loop->closed && stream->lost_count == 0) {
        stream->wire.closing = true;
        stream->lost_count += stream->kind->is_socket;
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    if (FIO_UNLIKELY(stream->loop->debug) && stream->lost_count == 0) {
        PyObject *none = PyObject_CallMethod((PyObject *)stream->loop, "_check_thread", NULL);
        Py_XDECREF(none);
        return none == NULL ? -1 : 0;
    }
    return 0;
}

PyObject *
fio_transport_py_close(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    fio_stream *stream = &self->stream;
    if (FIO_UNLIKELY(self->shows_closing == FIO_SHOWS(true))) {
        Py_RETURN_NONE;
    }
    if (FIO_UNLIKELY(stream->loop->debug)) {
        fio_stream_flush(stream); /* what is left ends the transport when it is sent */
    }
    bool ends = !stream->wire.closing && (!stream->loop->debug || fio_stream_unsent(stream) == 0);
    if (ends && transport_check_loop(self) < 0) {
        return NULL;
    }
    fio_stream_close(stream);
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_abort(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (transport_check_loop(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->dict != NULL)) {
        fio_stream_flush(&self->stream);
        fio_transport_force_close(self, NULL);
    }
    else {
        fio_stream_abort(&self->stream);
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_force_close(FioTransport *self, PyObject *exc)
{
    FIO_HOLD(self->stream.loop);
    if (transport_check_loop(self) < 0) {
        return NULL;
    }
    fio_stream_flush(&self->stream);
    fio_stream_force_close(&self->stream, fio_none_as_null(exc));
    Py_RETURN_NONE;
}

/* -- reading --------------------------------------------------------------------------------------
 */

/* asyncio's answer, which does not wait for connection_made(). */
static bool
transport_is_reading(const FioTransport *self)
{
    return !fio_transport_is_paused(self) && !fio_transport_is_closing(self);
}

PyObject *
fio_transport_py_is_reading(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(transport_is_reading(self));
}

PyObject *
fio_transport_py_pause_reading(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (transport_is_reading(self)) {
        self->shows_paused = FIO_SHOWS_STATE;
        fio_stream_pause_reading(&self->stream);
        fio_transport_log(self, "debug", "%r pauses reading");
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_resume_reading(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (fio_transport_is_closing(self) || !fio_transport_is_paused(self)) {
        Py_RETURN_NONE;
    }
    self->shows_paused = FIO_SHOWS_STATE;
    if (self->stream.loop->closed) {
        self->stream.paused = false;
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    if (self->context != NULL) {
        /* As whoever calls add_reader() on asyncio. */
        PyObject *own = self->own_context;
        PyObject *context = own != NULL ? Py_NewRef(own) : PyContext_CopyCurrent();
        if (context == NULL) {
            return NULL;
        }
        Py_SETREF(self->context, context);
    }
    fio_stream_resume_reading(&self->stream);
    fio_transport_log(self, "debug", "%r resumes reading");
    Py_RETURN_NONE;
}

/* -- attributes -----------------------------------------------------------------------------------
 */

PyObject *
fio_transport_get_extra(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return fio_transport_all_extra(self);
}

int
fio_transport_set_extra(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    if (value != NULL && !fio_args_is("_extra", value, &PyDict_Type, "a dict")) {
        return -1;
    }
    Py_XSETREF(self->extra, Py_XNewRef(value));
    return 0;
}

PyObject *
fio_transport_get_sock(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = self->open ? NULL : fio_transport_stored(self, "_sock");
    if (stored != NULL) {
        return stored;
    }
    PyObject *sock = fio_transport_socket(self);
    self->stream.shared |= sock != NULL && sock != Py_None;
    return sock;
}

PyObject *
fio_transport_get_fd(FioTransport *self, void *name)
{
    PyObject *stored = fio_transport_stored(self, name);
    return stored != NULL ? stored : PyLong_FromLong(self->fd);
}

PyObject *
fio_transport_get_loop(FioTransport *self, void *name)
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = fio_transport_stored(self, name);
    if (stored != NULL) {
        return stored;
    }
    return Py_NewRef(self->protocol == NULL ? Py_None : (PyObject *)self->stream.loop);
}

PyObject *
fio_transport_get_protocol(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return fio_transport_py_get_protocol(self, NULL);
}

/* What programs do that are older than set_protocol(). */
int
fio_transport_assign_protocol(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return fio_transport_set_protocol(self, value);
}

PyObject *
fio_transport_get_server(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return Py_NewRef(self->server == NULL ? Py_None : self->server);
}

PyObject *
fio_transport_get_paused(FioTransport *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(fio_transport_is_paused(self));
}

PyObject *
fio_transport_get_closing(FioTransport *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(fio_transport_is_closing(self));
}

PyObject *
fio_transport_get_protocol_paused(FioTransport *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->stream.link_paused);
}

static PyObject *
transport_get_eof(FioTransport *self, void *name)
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = fio_transport_stored(self, name);
    return stored != NULL ? stored : PyBool_FromLong(self->stream.eof_wanted);
}

PyObject *
fio_transport_get_conn_lost(FioTransport *self, void *name)
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = fio_transport_stored(self, name);
    return stored != NULL ? stored : PyLong_FromUnsignedLong(fio_stream_conn_lost(&self->stream));
}

PyObject *
fio_transport_get_high_water(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return self->high_limit != NULL ? Py_NewRef(self->high_limit)
                                    : PyLong_FromSize_t(self->stream.high_water);
}

PyObject *
fio_transport_get_low_water(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return self->low_limit != NULL ? Py_NewRef(self->low_limit)
                                   : PyLong_FromSize_t(self->stream.low_water);
}

static PyGetSetDef transport_getset[] = {
    FIO_TRANSPORT_STREAM_SIZE FIO_TRANSPORT_SOCKET_GETTERS,
    FIO_TRANSPORT_FLAG("_eof", transport_get_eof, fio_transport_set_eof),
    FIO_TRANSPORT_BUFFER,
    FIO_TRANSPORT_EMPTY_WAITER,
    FIO_TRANSPORT_PROTOCOL_CONNECTED,
    FIO_TRANSPORT_READ_READY_CB,
    FIO_TRANSPORT_READ_GETTERS,
    FIO_TRANSPORT_WRITE_GETTERS,
    FIO_TRANSPORT_COMMON_GETTERS,
    {NULL, NULL, NULL, NULL, NULL},
};

/* asyncio: _SelectorTransport.__repr__ */
PyObject *
fio_transport_repr(FioTransport *self)
{
    FIO_HOLD(self->stream.loop);
    const fio_stream *stream = &self->stream;
    PyObject *name = PyType_GetName(Py_TYPE(self));
    if (name == NULL) {
        return NULL;
    }
    const char *state = !self->open ? " closed" : stream->wire.closing ? " closing" : "";
    PyObject *repr = NULL;
    if (!self->open || stream->loop->closed) {
        repr = PyUnicode_FromFormat("<%U%s fd=%d>", name, state, self->fd);
    }
    else {
        int events = stream->watch.open ? stream->watch.events : 0;
        repr = PyUnicode_FromFormat("<%U%s fd=%d read=%s write=<%s, bufsize=%zu>>", name, state,
                                    self->fd, (events & UV_READABLE) != 0 ? "polling" : "idle",
                                    stream->blocked && (events & UV_WRITABLE) != 0 ? "polling"
                                                                                   : "idle",
                                    stream->blocked ? fio_stream_unsent(stream) : (size_t)0);
    }
    Py_DECREF(name);
    return repr;
}

/* -- the type -------------------------------------------------------------------------------------
 */

static PyObject *
transport_type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"loop",  "sock",   "protocol", "waiter",
                                        "extra", "server", "context",  NULL};
    static const fio_params params = {"Transport", names, 7, 3};
    PyObject *given[] = {NULL, NULL, NULL, Py_None, Py_None, Py_None, Py_None};
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0) {
        return NULL;
    }
    fio_state *st = fio_state_of_type(type);
    if (!fio_args_is("loop", given[0], st->LoopType, "a fastaio loop")
        || (given[4] != Py_None && !fio_args_is("extra", given[4], &PyDict_Type, "a dict"))
        || (given[6] != Py_None
            && !fio_args_is("context", given[6], &PyContext_Type, "a contextvars.Context"))) {
        return NULL;
    }
    FIO_HOLD(given[0]);
    const fio_transport_args made = {
        .loop = (FioLoop *)given[0],
        .sock = given[1],
        .protocol = given[2],
        .waiter = fio_none_as_null(given[3]),
        .extra = fio_none_as_null(given[4]),
        .server = fio_none_as_null(given[5]),
        .context = fio_none_as_null(given[6]),
    };
    return fio_transport_new(st, &made);
}

/* All is done by then; asyncio.BaseTransport.__init__() must not run on it. */
static int
transport_type_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args),
                    PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

/* asyncio's class for a transport's. */
static PyObject *
transport_asyncio_class(FioTransport *self)
{
    fio_state *st = self->st;
    PyTypeObject *type = Py_TYPE(self);
    bool pipe = type == st->ReadPipeTransportType || type == st->WritePipeTransportType;
    PyObject *module = PyImport_ImportModule(pipe ? "asyncio.unix_events"
                                                  : "asyncio.selector_events");
    const char *name = type == st->TransportType           ? "_SelectorSocketTransport"
                       : type == st->DatagramTransportType ? "_SelectorDatagramTransport"
                       : type == st->ReadPipeTransportType ? "_UnixReadPipeTransport"
                                                           : "_UnixWritePipeTransport";
    PyObject *class = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return class;
}

PyObject *
fio_transport_refuse(FioTransport *self, const char *method, PyObject *const *args,
                     Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *class = transport_asyncio_class(self);
    PyErr_Clear();
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    (void)fio_args_refuse(class, method, (PyObject *)self, args, nargs, kwnames);
    Py_XDECREF(class);
    return NULL;
}

FIO_NO_ARGUMENTS(, fio_transport_py_get_protocol, FioTransport, fio_transport_refuse,
                 "get_protocol")
FIO_NO_ARGUMENTS(, fio_transport_py_is_closing, FioTransport, fio_transport_refuse, "is_closing")
FIO_NO_ARGUMENTS(, fio_transport_py_close, FioTransport, fio_transport_refuse, "close")
FIO_NO_ARGUMENTS(, fio_transport_py_abort, FioTransport, fio_transport_refuse, "abort")
FIO_NO_ARGUMENTS(, fio_transport_py_is_reading, FioTransport, fio_transport_refuse, "is_reading")
FIO_NO_ARGUMENTS(, fio_transport_py_pause_reading, FioTransport, fio_transport_refuse,
                 "pause_reading")
FIO_NO_ARGUMENTS(, fio_transport_py_resume_reading, FioTransport, fio_transport_refuse,
                 "resume_reading")

static PyMethodDef transport_methods[] = {
    FIO_TRANSPORT_COMMON_METHODS,
    FIO_TRANSPORT_READ_METHODS,
    FIO_TRANSPORT_WRITE_METHODS,
    FIO_TRANSPORT_LIMIT_METHODS,
    {"write_eof", FIO_METHOD(fio_transport_py_write_eof_call), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("write_eof($self, /)\n--\n\nEnds our direction once all output is out.")},
    FIO_TRANSPORT_STEP_METHODS,
    {"_read_ready", FIO_METHOD(fio_transport_py_read_ready), METH_NOARGS, NULL},
    {"_write_ready", FIO_METHOD(fio_transport_py_write_ready), METH_NOARGS, NULL},
    {"_make_empty_waiter", FIO_METHOD(fio_transport_py_make_empty_waiter), METH_NOARGS, NULL},
    {"_make_end_waiter", FIO_METHOD(fio_transport_py_make_end_waiter), METH_NOARGS, NULL},
    {"_reset_empty_waiter", FIO_METHOD(fio_transport_py_reset_empty_waiter), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef transport_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FioTransport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioTransport, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(transport_doc,
             "Transport(loop, sock, protocol, waiter=None, extra=None, server=None, context=None)"
             "\n--\n\nThe asyncio.Transport of a connected stream socket. All calls of the "
             "protocol are made in\n``context``; without it, in those that asyncio before 3.15 "
             "made them in.");

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, FIO_UNCONST(transport_doc)},  {Py_tp_new, transport_type_new},
    {Py_tp_init, transport_type_init},        {Py_tp_dealloc, fio_transport_dealloc},
    {Py_tp_finalize, fio_transport_finalize}, {Py_tp_traverse, fio_transport_traverse},
    {Py_tp_clear, fio_transport_clear},       {Py_tp_repr, fio_transport_repr},
    {Py_tp_methods, transport_methods},       {Py_tp_members, transport_members},
    {Py_tp_getset, transport_getset},         {0, NULL},
};

/* Not immutable: its base, a class written in Python, is not either. */
static PyType_Spec transport_spec = {
    .name = "fastaio._core.Transport",
    .basicsize = sizeof(FioTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = transport_slots,
};

/* The struct begins with the base's slots: said here where a difference would go unseen. */
static int
check_base_layout(PyTypeObject *base)
{
    if (base->tp_basicsize == (Py_ssize_t)offsetof(FioTransport, dict)) {
        return 0;
    }
    PyErr_Format(PyExc_ImportError,
                 "%.200s has an unknown layout: this asyncio is not one fastaio was made for",
                 base->tp_name);
    return -1;
}

static int
transport_set_constants(fio_state *st)
{
    PyObject *type = (PyObject *)st->TransportType;
    PyObject *native = PyObject_GetAttrString(st->aio_SendfileMode, "TRY_NATIVE");
    if (native == NULL) {
        return -1;
    }
    int result = PyObject_SetAttrString(type, "_sendfile_compatible", native);
    Py_DECREF(native);
    if (result == 0) {
        result = PyObject_SetAttrString(type, "_start_tls_compatible", Py_True);
    }
    return result;
}

int
fio_transport_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    PyObject *base = st->aio_FlowControlMixin;
    if (check_base_layout((PyTypeObject *)base) < 0
        || fio_state_add_type(module, &st->TransportType, &transport_spec, base) < 0) {
        return -1;
    }
    return fio_transport_add_max_size(st->TransportType) < 0 ? -1 : transport_set_constants(st);
}
