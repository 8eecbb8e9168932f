/* A wire over the transport of another event loop. Output of one batch of input is written once;
 * output that comes at another time is gathered until the loop's next turn. */

#include "net/foreign.h"

#include "base/aio.h"

/* Gathered output above this is written at once. */
#define FOREIGN_FLUSH_SIZE ((size_t)64 * 1024)

static FioForeignWire *
foreign_of_wire(fio_wire *wire)
{
    return FIO_CONTAINER_OF(wire, FioForeignWire, wire);
}

/* The same, held over a call of the transport, which may call connection_lost() there and then. */
static FioForeignWire *
foreign_hold(fio_wire *wire)
{
    return (FioForeignWire *)Py_NewRef((PyObject *)foreign_of_wire(wire));
}

/* Tells the loop's exception handler of the raised exception. */
static void
foreign_report(FioForeignWire *self, const char *message)
{
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *context = Py_BuildValue("{s:s,s:O,s:O}", "message", message, "exception", exc,
                                      "transport", self->transport);
    PyObject *none = NULL;
    if (context != NULL) {
        none = PyObject_CallMethodOneArg(self->loop, self->st->str_call_exception_handler, context);
    }
    if (none == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(none);
    Py_XDECREF(context);
    Py_DECREF(exc);
}

/* transport.<name>(), with any failure reported. */
static void
foreign_call(FioForeignWire *self, PyObject *name)
{
    PyObject *none = PyObject_CallMethodNoArgs(self->transport, name);
    if (none == NULL) {
        foreign_report(self, "transport call of a native protocol failed");
    }
    Py_XDECREF(none);
}

/* Whether the transport is closing: that of a reset peer is before it tells its protocol. -1:
 * exception set. */
static int
foreign_is_closing(FioForeignWire *self)
{
    return fio_aio_asks(self->transport, self->st->str_is_closing);
}

/* transport.write(data), taking over the reference; NULL data is the failure of making it. What is
 * written to a closing transport would be lost anyway, and asyncio warns of it. */
static int
foreign_write(FioForeignWire *self, PyObject *data)
{
    if (data == NULL) {
        return -1;
    }
    const int closing = foreign_is_closing(self);
    if (closing != 0) {
        Py_DECREF(data);
        return closing < 0 ? -1 : 0;
    }
    PyObject *none = PyObject_CallMethodOneArg(self->transport, self->st->str_write, data);
    Py_DECREF(data);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

static int
foreign_flush(FioForeignWire *self)
{
    fio_buf *out = &self->wire.out;
    size_t size = fio_buf_size(out);
    if (size == 0) {
        return 0;
    }
    PyObject *data = PyBytes_FromStringAndSize(fio_buf_data(out), (Py_ssize_t)size);
    fio_buf_free(out);
    return foreign_write(self, data);
}

static void
wire_flush(fio_wire *wire)
{
    FioForeignWire *self = foreign_hold(wire);
    if (foreign_flush(self) < 0) {
        foreign_report(self, "write of a native protocol failed");
    }
    Py_DECREF(self);
}

static void
foreign_flush_soon(FioForeignWire *self)
{
    PyObject *flush = PyObject_GetAttr((PyObject *)self, self->st->str__flush);
    PyObject *handle = NULL;
    if (flush != NULL) {
        handle = PyObject_CallMethodOneArg(self->loop, self->st->str_call_soon, flush);
    }
    Py_XDECREF(flush);
    Py_XDECREF(handle);
    if (handle == NULL) {
        foreign_report(self, "write of a native protocol failed");
        return;
    }
    self->flush_soon = true;
}

static void
wire_commit(fio_wire *wire)
{
    if (fio_buf_size(&wire->out) >= FOREIGN_FLUSH_SIZE) {
        wire_flush(wire);
        return;
    }
    FioForeignWire *self = foreign_hold(wire);
    if (!self->in_batch && !self->flush_soon) {
        foreign_flush_soon(self);
    }
    Py_DECREF(self);
}

static int
wire_send(fio_wire *wire, const char *data, size_t size, PyObject *owner)
{
    FioForeignWire *self = foreign_hold(wire);
    int result = foreign_flush(self);
    if (result == 0) {
        bool whole = PyBytes_Check(owner) && PyBytes_AS_STRING(owner) == data
                     && (size_t)PyBytes_GET_SIZE(owner) == size;
        result = foreign_write(self, whole ? Py_NewRef(owner)
                                           : PyBytes_FromStringAndSize(data, (Py_ssize_t)size));
    }
    Py_DECREF(self);
    return result;
}

/* transport.<name>() of a wire. */
static void
wire_call(fio_wire *wire, PyObject *name)
{
    FioForeignWire *self = foreign_hold(wire);
    foreign_call(self, name);
    Py_DECREF(self);
}

static void
wire_close(fio_wire *wire)
{
    if (!wire->closing) {
        FioForeignWire *self = foreign_hold(wire);
        wire_flush(wire);
        wire->closing = true;
        foreign_call(self, self->st->str_close);
        Py_DECREF(self);
    }
}

static void
wire_abort(fio_wire *wire)
{
    wire->closing = true;
    fio_buf_free(&wire->out);
    wire_call(wire, foreign_of_wire(wire)->st->str_abort);
}

static void
wire_pause_reading(fio_wire *wire)
{
    if (!wire->closing) {
        wire_call(wire, foreign_of_wire(wire)->st->str_pause_reading);
    }
}

static void
wire_resume_reading(fio_wire *wire)
{
    if (!wire->closing) {
        wire_call(wire, foreign_of_wire(wire)->st->str_resume_reading);
    }
}

static size_t
wire_unsent(fio_wire *wire)
{
    FioForeignWire *self = foreign_hold(wire);
    PyObject *size = PyObject_CallMethodNoArgs(self->transport,
                                               self->st->str_get_write_buffer_size);
    size_t unsent = size == NULL ? 0 : PyLong_AsSize_t(size);
    Py_XDECREF(size);
    if (PyErr_Occurred()) {
        foreign_report(self, "transport call of a native protocol failed");
        unsent = 0;
    }
    unsent += fio_buf_size(&wire->out);
    Py_DECREF(self);
    return unsent;
}

static const fio_wire_ops foreign_ops = {
    .commit = wire_commit,
    .flush = wire_flush,
    .send = wire_send,
    .close = wire_close,
    .abort = wire_abort,
    .pause_reading = wire_pause_reading,
    .resume_reading = wire_resume_reading,
    .unsent = wire_unsent,
};

PyObject *
fio_foreign_new(fio_state *st, PyObject *transport)
{
    PyObject *loop = PyObject_CallNoArgs(st->aio_get_running_loop);
    if (loop == NULL) {
        return NULL;
    }
    FioForeignWire *self = PyObject_GC_New(FioForeignWire, st->ForeignWireType);
    if (self == NULL) {
        Py_DECREF(loop);
        return NULL;
    }
    self->wire = (fio_wire){.ops = &foreign_ops};
    self->st = st;
    self->transport = Py_NewRef(transport);
    self->loop = loop;
    self->in_batch = false;
    self->flush_soon = false;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

void
fio_foreign_begin(FioForeignWire *self)
{
    self->in_batch = true;
}

void
fio_foreign_end(FioForeignWire *self)
{
    self->in_batch = false;
    wire_flush(&self->wire);
}

void
fio_foreign_lose(FioForeignWire *self)
{
    self->wire.closing = true;
    fio_buf_free(&self->wire.out);
}

static PyObject *
foreign_py_flush(FioForeignWire *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->loop);
    self->flush_soon = false;
    if (foreign_flush(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
foreign_traverse(FioForeignWire *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->transport);
    Py_VISIT(self->loop);
    return 0;
}

static void
foreign_dealloc(FioForeignWire *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fio_buf_free(&self->wire.out);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef foreign_methods[] = {
    {"_flush", FIO_METHOD(foreign_py_flush), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* No tp_clear: a link in a reference cycle drops its wire first. */
static PyType_Slot foreign_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST("A Link's output on another event loop: gathers it for that loop's transport.")},
    {Py_tp_dealloc, foreign_dealloc},
    {Py_tp_traverse, foreign_traverse},
    {Py_tp_methods, foreign_methods},
    {0, NULL},
};

static PyType_Spec foreign_spec = {
    .name = "fastaio._core.ForeignWire",
    .basicsize = sizeof(FioForeignWire),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = foreign_slots,
};

int
fio_foreign_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->ForeignWireType, &foreign_spec, NULL);
}
