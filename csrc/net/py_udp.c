/* _core.DatagramTransport as Python sees it: the constructor, sendto() and the type. */

#include "base/args.h"
#include "net/py_transport.h"
#include "net/udp.h"

/* -- sendto() -------------------------------------------------------------------------------------
 */

/* Where a message goes that sendto() was given `address` for, or NULL with *result 0; a transport
 * made for one destination sends to no other: *result -1. */
static PyObject *
datagram_destination(FioDatagram *self, PyObject *address, int *result)
{
    *result = 0;
    if (self->address == NULL) {
        return Py_XNewRef(fio_none_as_null(address));
    }
    PyObject *ours = Py_NewRef(self->address); /* an __eq__() may set another, which counts */
    int same = address == Py_None ? 1 : PyObject_RichCompareBool(address, ours, Py_EQ);
    Py_SETREF(ours, Py_NewRef(self->address == NULL ? Py_None : self->address));
    if (same == 0) {
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", ours);
    }
    if (same <= 0 || ours == Py_None) {
        *result = same <= 0 ? -1 : 0;
        Py_CLEAR(ours);
    }
    return ours;
}

PyDoc_STRVAR(datagram_sendto_doc,
             "sendto($self, data, addr=None)\n--\n\n"
             "Sends a message to addr, or to the address the transport was made for; never "
             "blocks.\nMessages of one turn of the loop leave in one system call.");

static PyObject *
datagram_sendto(FioDatagram *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self->super.stream.loop);
    static const char *const names[] = {"data", "addr", NULL};
    static const fio_params params = {"sendto", names, 2, 1};
    PyObject *given[] = {NULL, Py_None};
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0) {
        return fio_transport_refuse(&self->super, params.function, args, nargs, kwnames);
    }
    if (fio_transport_check_data(&self->super, given[0], "_SelectorDatagramTransport", "sendto")
        < 0) {
        return NULL;
    }
    int empty = FIO_SENDS_EMPTY_DATAGRAMS ? 0 : fio_transport_data_is_empty(given[0]);
    if (empty != 0) {
        return empty < 0 ? NULL : Py_NewRef(Py_None);
    }
    int result = 0;
    PyObject *address = datagram_destination(self, given[1], &result);
    if (result == 0) {
        result = self->super.stream.lost_count > 0 ? fio_transport_count_lost_write(&self->super)
                                                   : fio_datagram_send(self, given[0], address);
    }
    Py_XDECREF(address);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

/* -- the type -------------------------------------------------------------------------------------
 */

static PyObject *
datagram_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"loop",   "sock",  "protocol", "address",
                                        "waiter", "extra", NULL};
    static const fio_params params = {"DatagramTransport", names, 6, 3};
    PyObject *given[] = {NULL, NULL, NULL, Py_None, Py_None, Py_None};
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0) {
        return NULL;
    }
    fio_state *st = fio_state_of_type(type);
    if (!fio_args_is("loop", given[0], st->LoopType, "a fastaio loop")
        || (given[5] != Py_None && !fio_args_is("extra", given[5], &PyDict_Type, "a dict"))) {
        return NULL;
    }
    FIO_HOLD(given[0]);
    const fio_transport_args made = {
        .loop = (FioLoop *)given[0],
        .sock = given[1],
        .protocol = given[2],
        .extra = fio_none_as_null(given[5]),
    };
    FioDatagram *self = (FioDatagram *)fio_transport_prepare(type, st, &made, &fio_datagram_kind);
    if (self == NULL) {
        return NULL;
    }
    fio_any_addr local;
    fio_addr_of_socket(self->super.fd, &local);
    self->family = local.size > 0 ? local.as.ss_family : AF_UNSPEC;
    PyObject *peer = NULL;
    if (fio_transport_extra(&self->super, st->str_peername, &peer) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->connected = peer != NULL && peer != Py_None;
    Py_XDECREF(peer);
    self->address = Py_XNewRef(fio_none_as_null(given[3]));
    if (fio_transport_begin(&self->super, fio_none_as_null(given[4])) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->super.open = true;
    return (PyObject *)self;
}

/* All is done by then; asyncio.BaseTransport.__init__() must not run on it. */
static int
datagram_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static PyObject *
datagram_get_address(FioDatagram *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->super.stream.loop);
    return Py_NewRef(self->address == NULL ? Py_None : self->address);
}

static int
datagram_set_address(FioDatagram *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->super.stream.loop);
    Py_XSETREF(self->address, Py_XNewRef(fio_none_as_null(value)));
    return 0;
}

/* asyncio's deque of (data, address). */
static PyObject *
datagram_get_buffer(FioDatagram *self, void *name)
{
    FIO_HOLD(self->super.stream.loop);
    PyObject *stored = fio_transport_stored(&self->super, name);
    if (stored != NULL) {
        return stored;
    }
    fio_stream_flush(&self->super.stream);
    PyObject *pairs = PyList_New(0);
    for (uint32_t i = 0; pairs != NULL && i < self->count; i++) {
        const fio_datagram each = self->queue[self->head + i];
        PyObject *data = Py_NewRef(each.data); /* what follows may collect garbage */
        PyObject *address = each.address != NULL
                                ? Py_NewRef(each.address)
                                : fio_addr_to_python(&each.to.as.any, each.to.size);
        PyObject *pair = address == NULL ? NULL : PyTuple_Pack(2, data, address);
        if (pair == NULL || PyList_Append(pairs, pair) < 0) {
            Py_CLEAR(pairs);
        }
        Py_XDECREF(pair);
        Py_XDECREF(address);
        Py_DECREF(data);
    }
    PyObject *deque = pairs == NULL ? NULL : fio_transport_deque(pairs);
    Py_XDECREF(pairs);
    return deque;
}

/* What is set is sent instead of what there was. */
static int
datagram_set_buffer(FioDatagram *self, PyObject *value, void *name)
{
    FIO_HOLD(self->super.stream.loop);
    FioTransport *super = &self->super;
    if (super->ending || !super->open) {
        return fio_transport_store(super, value, name);
    }
    PyObject *pairs = PySequence_List(value);
    if (pairs == NULL) {
        return -1;
    }
    if (!fio_transport_empty_buffer(super)) {
        Py_DECREF(pairs);
        return fio_transport_store(super, value, name);
    }
    int result = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pairs) && result == 0; i++) {
        PyObject *data = NULL;
        PyObject *address = NULL;
        PyObject *pair = PySequence_Tuple(PyList_GET_ITEM(pairs, i));
        result = pair != NULL && PyArg_ParseTuple(pair, "OO", &data, &address) != 0
                     ? fio_datagram_send(self, data, fio_none_as_null(address))
                     : -1;
        Py_XDECREF(pair);
    }
    Py_DECREF(pairs);
    return result;
}

static PyMethodDef datagram_methods[] = {
    FIO_TRANSPORT_STEP_METHODS,
    {"_read_ready", FIO_METHOD(fio_transport_py_read_ready), METH_NOARGS, NULL},
    {"_sendto_ready", FIO_METHOD(fio_transport_py_write_ready), METH_NOARGS, NULL},
    FIO_TRANSPORT_COMMON_METHODS,
    FIO_TRANSPORT_READ_METHODS,
    FIO_TRANSPORT_LIMIT_METHODS,
    {"sendto", FIO_METHOD(datagram_sendto), METH_FASTCALL | METH_KEYWORDS, datagram_sendto_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef datagram_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FioTransport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioTransport, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef datagram_getset[] = {
    FIO_TRANSPORT_ATTRIBUTE("_address", datagram_get_address, datagram_set_address),
    FIO_TRANSPORT_ATTRIBUTE("_buffer", datagram_get_buffer, datagram_set_buffer),
    FIO_TRANSPORT_BUFFER_SIZE,
    FIO_TRANSPORT_PROTOCOL_CONNECTED,
    FIO_TRANSPORT_SOCKET_GETTERS,
    FIO_TRANSPORT_READ_GETTERS,
    FIO_TRANSPORT_WRITE_GETTERS,
    FIO_TRANSPORT_COMMON_GETTERS,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    datagram_doc,
    "DatagramTransport(loop, sock, protocol, address=None, waiter=None, extra=None)\n--\n\n"
    "The asyncio.DatagramTransport of a UDP or Unix datagram socket.");

static PyType_Slot datagram_slots[] = {
    {Py_tp_doc, FIO_UNCONST(datagram_doc)},
    {Py_tp_new, datagram_new},
    {Py_tp_init, datagram_init},
    {Py_tp_dealloc, fio_transport_dealloc},
    {Py_tp_finalize, fio_transport_finalize},
    {Py_tp_traverse, fio_datagram_traverse},
    {Py_tp_clear, fio_datagram_clear},
    {Py_tp_repr, fio_transport_repr},
    {Py_tp_methods, datagram_methods},
    {Py_tp_members, datagram_members},
    {Py_tp_getset, datagram_getset},
    {0, NULL},
};

static PyType_Spec datagram_spec = {
    .name = "fastaio._core.DatagramTransport",
    .basicsize = sizeof(FioDatagram),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = datagram_slots,
};

/* asyncio's class attribute `_header_size`, where it counts one. */
static int
datagram_add_header_size(PyTypeObject *type)
{
    if (FIO_DATAGRAM_HEADER_SIZE == 0) {
        return 0;
    }
    PyObject *size = PyLong_FromLong(FIO_DATAGRAM_HEADER_SIZE);
    int result = size == NULL ? -1 : PyObject_SetAttrString((PyObject *)type, "_header_size", size);
    Py_XDECREF(size);
    return result;
}

int
fio_datagram_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    PyObject *bases = PyTuple_Pack(2, st->aio_FlowControlMixin, st->aio_DatagramTransport);
    if (bases == NULL) {
        return -1;
    }
    int result = fio_state_add_type(module, &st->DatagramTransportType, &datagram_spec, bases);
    Py_DECREF(bases);
    if (result < 0 || fio_transport_add_max_size(st->DatagramTransportType) < 0) {
        return -1;
    }
    return datagram_add_header_size(st->DatagramTransportType);
}
