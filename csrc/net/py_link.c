/* _core.Link, the base type of native protocols. On a transport of ours its C functions are called
 * straight from the stream; its Python methods make the same object an asyncio.Protocol on every
 * other loop. */

#include "net/foreign.h"
#include "net/transport.h"

bool
fio_link_is_native(fio_state *st, PyObject *protocol)
{
    return PyObject_TypeCheck(protocol, st->LinkType) && ((FioLink *)protocol)->link.ops != NULL;
}

static FioForeignWire *
link_wire(FioLink *self)
{
    return (FioForeignWire *)self->foreign;
}

/* Raises where a method is called that only a connected protocol on another loop gets. */
static FioForeignWire *
link_connected_wire(FioLink *self)
{
    if (self->foreign == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the protocol is not connected");
    }
    return link_wire(self);
}

static PyObject *
link_connection_made(FioLink *self, PyObject *transport)
{
    fio_state *st = fio_state_of_type(Py_TYPE(self));
    if (self->link.ops == NULL) {
        PyErr_Format(PyExc_TypeError, "%.200s is not a native protocol", Py_TYPE(self)->tp_name);
        return NULL;
    }
    if (PyObject_TypeCheck(transport, st->TransportType)
        && ((FioTransport *)transport)->stream.link == &self->link) {
        FioTransport *carrier = (FioTransport *)transport;
        FIO_SET_MONITOR(self, carrier->stream.loop);
        FIO_HOLD_MONITOR(self);
        self->link.ops->connected(&self->link, &carrier->stream.wire, transport);
        Py_RETURN_NONE;
    }
    if (self->foreign != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the protocol is connected already");
        return NULL;
    }
    PyObject *wire = fio_foreign_new(st, transport);
    if (wire == NULL) {
        return NULL;
    }
    FIO_SET_MONITOR(self, ((FioForeignWire *)wire)->loop);
    FIO_HOLD_MONITOR(self);
    self->foreign = Py_NewRef(wire);
    self->link.ops->connected(&self->link, &((FioForeignWire *)wire)->wire, transport);
    Py_DECREF(wire);
    Py_RETURN_NONE;
}

static PyObject *
link_data_received(FioLink *self, PyObject *data)
{
    FIO_HOLD_MONITOR(self);
    FioForeignWire *wire = link_connected_wire(self);
    Py_buffer view;
    if (wire == NULL) {
        return NULL;
    }
    Py_INCREF(wire); /* what gives the bytes may run code */
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        Py_DECREF(wire);
        return NULL;
    }
    if (view.len > 0 && !wire->wire.closing) {
        fio_foreign_begin(wire);
        self->link.ops->data(&self->link, view.buf, (size_t)view.len);
        fio_foreign_end(wire);
    }
    Py_DECREF(wire);
    PyBuffer_Release(&view);
    Py_RETURN_NONE;
}

static PyObject *
link_eof_received(FioLink *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(self);
    FioForeignWire *wire = link_connected_wire(self);
    if (wire == NULL) {
        return NULL;
    }
    Py_INCREF(wire);
    fio_foreign_begin(wire);
    bool keep_open = self->link.ops->eof(&self->link);
    fio_foreign_end(wire);
    Py_DECREF(wire);
    return PyBool_FromLong(keep_open);
}

static PyObject *
link_connection_lost(FioLink *self, PyObject *exc)
{
    FIO_HOLD_MONITOR(self);
    FioForeignWire *wire = link_connected_wire(self);
    if (wire == NULL) {
        return NULL;
    }
    fio_foreign_lose(wire);
    self->link.ops->lost(&self->link, exc == Py_None ? NULL : exc);
    Py_CLEAR(self->foreign);
    Py_RETURN_NONE;
}

static PyObject *
link_pause_writing(FioLink *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(self);
    if (link_connected_wire(self) == NULL) {
        return NULL;
    }
    self->link.ops->pause_writing(&self->link);
    Py_RETURN_NONE;
}

static PyObject *
link_resume_writing(FioLink *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(self);
    if (link_connected_wire(self) == NULL) {
        return NULL;
    }
    self->link.ops->resume_writing(&self->link);
    Py_RETURN_NONE;
}

int
fio_link_traverse(FioLink *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->foreign);
    FIO_VISIT_MONITOR(self);
    return 0;
}

int
fio_link_clear(FioLink *self)
{
    Py_CLEAR(self->foreign);
    return 0;
}

static void
link_dealloc(FioLink *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)fio_link_clear(self);
    fio_link_end(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef link_methods[] = {
    {"connection_made", FIO_METHOD(link_connection_made), METH_O,
     "connection_made($self, transport, /)\n--\n\nasyncio.BaseProtocol.connection_made. "
     "Raises RuntimeError where it is connected already."},
    {"data_received", FIO_METHOD(link_data_received), METH_O,
     "data_received($self, data, /)\n--\n\nasyncio.Protocol.data_received: any bytes-like object."},
    {"eof_received", FIO_METHOD(link_eof_received), METH_NOARGS,
     "eof_received($self, /)\n--\n\nasyncio.Protocol.eof_received; True keeps the transport open."},
    {"connection_lost", FIO_METHOD(link_connection_lost), METH_O,
     "connection_lost($self, exc, /)\n--\n\nasyncio.BaseProtocol.connection_lost."},
    {"pause_writing", FIO_METHOD(link_pause_writing), METH_NOARGS,
     "pause_writing($self, /)\n--\n\nasyncio.BaseProtocol.pause_writing."},
    {"resume_writing", FIO_METHOD(link_resume_writing), METH_NOARGS,
     "resume_writing($self, /)\n--\n\nasyncio.BaseProtocol.resume_writing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot link_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The base of protocols in C: called straight from a fastaio "
                            "transport's stream, an\nasyncio.Protocol on every other.")},
    {Py_tp_dealloc, link_dealloc},
    {Py_tp_traverse, fio_link_traverse},
    {Py_tp_clear, fio_link_clear},
    {Py_tp_methods, link_methods},
    {0, NULL},
};

/* Not immutable: no type may be that has a mutable base (deprecated from 3.12 on), and
 * asyncio.Protocol is one. */
static PyType_Spec link_spec = {
    .name = "fastaio._core.Link",
    .basicsize = sizeof(FioLink),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = link_slots,
};

int
fio_link_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_foreign_setup_types(module) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->LinkType, &link_spec, st->aio_Protocol);
}
