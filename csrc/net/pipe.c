/* _core.ReadPipeTransport and _core.WritePipeTransport: the two ends of pipes over the common
 * stream, with the behaviour of asyncio.unix_events' classes. What they refuse (a regular file) is
 * a ValueError. */

#include "net/pipe.h"

#include "base/args.h"
#include "base/errors.h"
#include "net/py_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* -- the peer's end -------------------------------------------------------------------------------
 */

/* asyncio: _UnixReadPipeTransport._read_ready */
static void
read_pipe_ended(fio_stream *stream)
{
    FioTransport *self = fio_transport_of_stream(stream);
    fio_transport_log(self, "info", "%r was closed by peer");
    if (!fio_stream_end_reading(stream)) {
        return;
    }
    stream->wire.closing = true;
    if (fio_transport_soon_eof(self) < 0) {
        fio_transport_fatal(self, "Fatal read error on pipe transport");
        return;
    }
    fio_stream_force_close(stream, NULL);
}

/* asyncio: _UnixWritePipeTransport._read_ready */
static void
write_pipe_ended(fio_stream *stream)
{
    fio_transport_log(fio_transport_of_stream(stream), "info", "%r was closed by peer");
    if (!fio_stream_end_reading(stream)) {
        return;
    }
    PyObject *exc = NULL;
    if (fio_stream_unsent(stream) > 0) {
        exc = PyObject_CallNoArgs(PyExc_BrokenPipeError);
        if (exc == NULL) {
            PyErr_Clear(); /* the end without its reason */
        }
    }
    fio_stream_force_close(stream, exc);
    Py_XDECREF(exc);
}

static const fio_stream_kind read_pipe_kind = {
    .owner = fio_transport_owner,
    .failed = fio_transport_failed,
    .ended = read_pipe_ended,
    .finish = fio_transport_finish,
    .finish_now = fio_transport_finish_now,
    .read_error = "Fatal read error on pipe transport",
    .write_error = "Fatal write error on pipe transport",
    .reports_errors = true,
};

static const fio_stream_kind write_pipe_kind = {
    .owner = fio_transport_owner,
    .failed = fio_transport_failed,
    .ended = write_pipe_ended,
    .finish = fio_transport_finish,
    .finish_now = fio_transport_finish_now,
    .read_error = "Fatal read error on pipe transport",
    .write_error = "Fatal write error on pipe transport",
    .reads_are_hangup = true,
};

/* -- making ---------------------------------------------------------------------------------------
 */

/* The descriptor of `pipe`, made non-blocking, if it is of a kind that can be waited for. */
static int
pipe_open_descriptor(fio_state *st, PyObject *pipe, const char *refusal, mode_t *mode)
{
    int fd = fio_transport_fileno(st, pipe);
    if (fd < 0) {
        return -1;
    }
    struct stat status;
    if (fstat(fd, &status) < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    *mode = status.st_mode;
    if (!S_ISFIFO(*mode) && !S_ISSOCK(*mode) && !S_ISCHR(*mode)) {
        PyErr_SetString(PyExc_ValueError, refusal);
        return -1;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    return fd;
}

static PyObject *
pipe_make(PyTypeObject *type, PyObject *args, PyObject *kwargs, const char *name,
          const fio_stream_kind *kind, const char *refusal)
{
    static const char *const names[] = {"loop", "pipe", "protocol", "waiter", "extra", NULL};
    const fio_params params = {name, names, 5, 3};
    PyObject *given[] = {NULL, NULL, NULL, Py_None, Py_None};
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0) {
        return NULL;
    }
    fio_state *st = fio_state_of_type(type);
    if (!fio_args_is("loop", given[0], st->LoopType, "a fastaio loop")
        || (given[4] != Py_None && !fio_args_is("extra", given[4], &PyDict_Type, "a dict"))) {
        return NULL;
    }
    mode_t mode = 0;
    int fd = pipe_open_descriptor(st, given[1], refusal, &mode);
    if (fd < 0) {
        return NULL;
    }
    FioLoop *loop = (FioLoop *)given[0];
    FIO_HOLD(loop);
    FioTransport *self = fio_transport_alloc(type, st, loop);
    if (self == NULL) {
        return NULL;
    }
    fio_stream_init(&self->stream, kind, loop, fd);
    /* A character device does not tell that its reader is gone (asyncio says so too). */
    self->stream.never_reads = kind->reads_are_hangup && S_ISCHR(mode);
    self->fd = fd;
    self->sock = Py_NewRef(given[1]);
    self->extra = given[4] == Py_None ? PyDict_New() : PyDict_Copy(given[4]);
    if (self->extra == NULL || PyDict_SetItem(self->extra, st->str_pipe, given[1]) < 0
        || fio_transport_set_protocol(self, given[2]) < 0
        || fio_transport_begin(self, fio_none_as_null(given[3])) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->open = true;
    return (PyObject *)self;
}

static PyObject *
read_pipe_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return pipe_make(type, args, kwargs, "ReadPipeTransport", &read_pipe_kind,
                     "Pipe transport is for pipes/sockets only.");
}

static PyObject *
write_pipe_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return pipe_make(type, args, kwargs, "WritePipeTransport", &write_pipe_kind,
                     "Pipe transport is only for pipes, sockets and character devices");
}

/* All is done by then; asyncio.BaseTransport.__init__() must not run on it. */
static int
pipe_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

/* -- what Python sees -----------------------------------------------------------------------------
 */

/* The end of writing is the end of a pipe. */
static PyObject *
write_pipe_write_eof(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    return fio_transport_py_close(self, NULL);
}

static PyObject *
pipe_get_pipe(FioTransport *self, void *name)
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = self->open ? NULL : fio_transport_stored(self, name);
    return stored != NULL ? stored : Py_NewRef(self->sock == NULL ? Py_None : self->sock);
}

/* asyncio: _UnixReadPipeTransport.__repr__ and its twin */
static PyObject *
pipe_repr(FioTransport *self)
{
    FIO_HOLD(self->stream.loop);
    const fio_stream *stream = &self->stream;
    bool writes = stream->kind->reads_are_hangup;
    PyObject *name = PyType_GetName(Py_TYPE(self));
    if (name == NULL) {
        return NULL;
    }
    PyObject *repr = NULL;
    const char *closing = stream->wire.closing ? " closing" : "";
    if (!self->open) {
        repr = PyUnicode_FromFormat("<%U closed fd=%d closed>", name, self->fd);
    }
    else if (stream->loop->closed) {
        repr = PyUnicode_FromFormat("<%U%s fd=%d open>", name, closing, self->fd);
    }
    else {
        int events = stream->watch.open ? stream->watch.events : 0;
        bool polling = writes ? stream->blocked && (events & UV_WRITABLE) != 0
                              : (events & UV_READABLE) != 0;
        const char *state = polling ? "polling" : "idle";
        repr = writes
                   ? PyUnicode_FromFormat("<%U%s fd=%d %s bufsize=%zu>", name, closing, self->fd,
                                          state,
                                          stream->blocked ? fio_stream_unsent(stream) : (size_t)0)
                   : PyUnicode_FromFormat("<%U%s fd=%d %s>", name, closing, self->fd, state);
    }
    Py_DECREF(name);
    return repr;
}

/* asyncio: _close(exc=None) of both */
static PyObject *
pipe_close(FioTransport *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"exc", NULL};
    static const fio_params params = {"_close", names, 1, 0};
    PyObject *exc = Py_None;
    return fio_args_parse(&params, args, nargs, kwnames, &exc) < 0
               ? NULL
               : fio_transport_py_force_close(self, exc);
}

FIO_NO_ARGUMENTS(static, write_pipe_write_eof, FioTransport, fio_transport_refuse, "write_eof")

#define PIPE_METHODS                                                              \
    {"_close", FIO_METHOD(pipe_close), METH_FASTCALL | METH_KEYWORDS, NULL},      \
    {                                                                             \
        "_read_ready", FIO_METHOD(fio_transport_py_read_ready), METH_NOARGS, NULL \
    }

static PyMethodDef read_pipe_methods[] = {
    PIPE_METHODS,
    FIO_TRANSPORT_ADD_READER,
    FIO_TRANSPORT_COMMON_METHODS,
    FIO_TRANSPORT_READ_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyMethodDef write_pipe_methods[] = {
    PIPE_METHODS,
    {"_write_ready", FIO_METHOD(fio_transport_py_write_ready), METH_NOARGS, NULL},
    FIO_TRANSPORT_COMMON_METHODS,
    FIO_TRANSPORT_WRITE_METHODS,
    FIO_TRANSPORT_LIMIT_METHODS,
    {"write_eof", FIO_METHOD(write_pipe_write_eof_call), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("write_eof($self, /)\n--\n\nCloses the pipe once all output is out.")},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pipe_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FioTransport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioTransport, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef read_pipe_getset[] = {
    FIO_TRANSPORT_ATTRIBUTE("_pipe", pipe_get_pipe, fio_transport_set_sock),
    FIO_TRANSPORT_ATTRIBUTE("_fileno", fio_transport_get_fd, fio_transport_store),
    FIO_TRANSPORT_READ_GETTERS,
    FIO_TRANSPORT_COMMON_GETTERS,
    {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef write_pipe_getset[] = {
    FIO_TRANSPORT_ATTRIBUTE("_pipe", pipe_get_pipe, fio_transport_set_sock),
    FIO_TRANSPORT_ATTRIBUTE("_fileno", fio_transport_get_fd, fio_transport_store),
    FIO_TRANSPORT_BUFFER,
    FIO_TRANSPORT_WRITE_GETTERS,
    FIO_TRANSPORT_COMMON_GETTERS,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(read_pipe_doc,
             "ReadPipeTransport(loop, pipe, protocol, waiter=None, extra=None)\n--\n\n"
             "The asyncio.ReadTransport of a pipe, socket or terminal.");
PyDoc_STRVAR(write_pipe_doc,
             "WritePipeTransport(loop, pipe, protocol, waiter=None, extra=None)\n--\n\n"
             "The asyncio.WriteTransport of a pipe, socket or terminal.");

#define PIPE_SLOTS(kind)                                                                         \
    {Py_tp_doc, FIO_UNCONST(kind##_doc)}, {Py_tp_new, kind##_new}, {Py_tp_init, pipe_init},      \
        {Py_tp_dealloc, fio_transport_dealloc}, {Py_tp_finalize, fio_transport_finalize},        \
        {Py_tp_traverse, fio_transport_traverse}, {Py_tp_clear, fio_transport_clear},            \
        {Py_tp_repr, pipe_repr}, {Py_tp_methods, kind##_methods}, {Py_tp_members, pipe_members}, \
        {Py_tp_getset, kind##_getset},                                                           \
    {                                                                                            \
        0, NULL                                                                                  \
    }

static PyType_Slot read_pipe_slots[] = {PIPE_SLOTS(read_pipe)};
static PyType_Slot write_pipe_slots[] = {PIPE_SLOTS(write_pipe)};

static PyType_Spec read_pipe_spec = {
    .name = "fastaio._core.ReadPipeTransport",
    .basicsize = sizeof(FioTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = read_pipe_slots,
};

static PyType_Spec write_pipe_spec = {
    .name = "fastaio._core.WritePipeTransport",
    .basicsize = sizeof(FioTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = write_pipe_slots,
};

int
fio_pipe_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_state_add_type(module, &st->ReadPipeTransportType, &read_pipe_spec,
                           st->aio_ReadTransport)
            < 0
        || fio_transport_add_max_size(st->ReadPipeTransportType) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->WritePipeTransportType, &write_pipe_spec,
                              st->aio_FlowControlMixin);
}
