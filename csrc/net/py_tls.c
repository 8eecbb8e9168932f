/* The Python faces of TLS: _core.TLSLink, the base beside asyncio's SSLProtocol, whose hot methods
 * and attributes it gives under the same names, and _core.SSLTransport, what the application writes
 * to. Neither knows a handshake or a shutdown: those are SSLProtocol's. */

#include "base/args.h"
#include "net/bridge.h"
#include "net/tls.h"
#include "net/transport.h"

/* -- link ops: on a carrier of ours
 * ---------------------------------------------------------------- */

static FioTLS *
tls_of_link(fio_link *link)
{
    return FIO_CONTAINER_OF(FIO_CONTAINER_OF(link, FioLink, link), FioTLS, super);
}

/* A method of ours that the carrier called has raised: the connection ends (asyncio:
 * selector_events._fatal_error). */
static void
tls_failed(FioTLS *self, PyObject *transport, const char *message)
{
    if (transport != NULL && PyObject_TypeCheck(transport, self->st->TransportType)) {
        fio_transport_fatal((FioTransport *)transport, message);
    }
    else {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

/* Enters the context in which a carrier of ours makes its calls, and returns it for tls_leave();
 * NULL: there is none. */
static PyObject *
tls_enter(FioTLS *self)
{
    PyObject *transport = self->transport;
    if (transport == NULL || !PyObject_TypeCheck(transport, self->st->TransportType)) {
        return NULL;
    }
    FioTransport *carrier = (FioTransport *)transport;
    PyObject *context = Py_XNewRef(carrier->context);
    if (context != NULL && PyContext_Enter(context) < 0
        && fio_loop_reenter_context(carrier->stream.loop, &context) < 0) {
        PyErr_WriteUnraisable(transport);
        Py_CLEAR(context);
    }
    return context;
}

static void
tls_leave(FIO_STEALS PyObject *context)
{
    if (context != NULL && PyContext_Exit(context) < 0) {
        PyErr_WriteUnraisable(context);
    }
    Py_XDECREF(context);
}

/* Calls one of SSLProtocol's cold methods; NULL: it raised, and that was dealt with. */
static PyObject *
tls_link_call(FioTLS *self, PyObject *method, PyObject *arg, const char *message)
{
    Py_INCREF(self);
    PyObject *transport = Py_XNewRef(self->transport);
    FIO_LET_GO_MONITOR(&self->super);
    PyObject *result = arg == NULL ? PyObject_CallMethodNoArgs((PyObject *)self, method)
                                   : PyObject_CallMethodOneArg((PyObject *)self, method, arg);
    FIO_TAKE_BACK();
    if (result == NULL) {
        tls_failed(self, transport, message);
    }
    Py_XDECREF(transport);
    Py_DECREF(self);
    return result;
}

static void
tls_link_connected(fio_link *link, fio_wire *Py_UNUSED(wire), PyObject *transport)
{
    FioTLS *self = tls_of_link(link);
    Py_XDECREF(tls_link_call(self, self->st->str_connection_made, transport,
                             "Fatal error: protocol.connection_made() call failed."));
}

/* What follows wants what SSLProtocol.__init__() sets. */
static bool
tls_is_made(const FioTLS *self)
{
    if (self->sslobj != NULL && self->incoming != NULL && self->outgoing != NULL
        && self->backlog != NULL) {
        return true;
    }
    PyErr_SetString(PyExc_RuntimeError, "TLSLink.__init__() has not been called");
    return false;
}

static void
tls_link_data(fio_link *link, const char *data, size_t size)
{
    FioTLS *self = tls_of_link(link);
    Py_INCREF(self);
    PyObject *transport = Py_XNewRef(self->transport);
    PyObject *context = tls_enter(self);
    if (!tls_is_made(self) || fio_tls_on_data(self, data, size) < 0) {
        tls_failed(self, transport, "Fatal error: protocol.buffer_updated() call failed.");
    }
    tls_leave(context);
    Py_XDECREF(transport);
    Py_DECREF(self);
}

static bool
tls_link_eof(fio_link *link)
{
    FioTLS *self = tls_of_link(link);
    PyObject *context = tls_enter(self);
    PyObject *keep = tls_link_call(self, self->st->str_eof_received, NULL,
                                   "Fatal error: protocol.eof_received() call failed.");
    tls_leave(context);
    bool keep_open = keep == Py_True;
    Py_XDECREF(keep);
    return keep_open;
}

/* A failing pause or resume is reported and changes nothing (asyncio: _FlowControlMixin). */
static void
tls_link_flow(FioTLS *self, PyObject *method, const char *message)
{
    Py_INCREF(self);
    PyObject *transport = Py_XNewRef(self->transport);
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, method);
    if (result == NULL && transport != NULL
        && PyObject_TypeCheck(transport, self->st->TransportType)) {
        fio_transport_report((FioTransport *)transport, message);
    }
    else if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(result);
    Py_XDECREF(transport);
    Py_DECREF(self);
}

static void
tls_link_pause_writing(fio_link *link)
{
    FioTLS *self = tls_of_link(link);
    tls_link_flow(self, self->st->str_pause_writing, "protocol.pause_writing() failed");
}

static void
tls_link_resume_writing(fio_link *link)
{
    FioTLS *self = tls_of_link(link);
    PyObject *context = tls_enter(self);
    tls_link_flow(self, self->st->str_resume_writing, "protocol.resume_writing() failed");
    tls_leave(context);
}

static void
tls_detach(FioTLS *self)
{
    self->wire = NULL;
    Py_CLEAR(self->carrier);
}

static void
tls_link_lost(fio_link *link, PyObject *exc)
{
    FioTLS *self = tls_of_link(link);
    tls_detach(self);
    Py_XDECREF(tls_link_call(self, self->st->str_connection_lost, exc == NULL ? Py_None : exc,
                             "Fatal error: protocol.connection_lost() call failed."));
}

static const fio_link_ops tls_link_ops = {
    .connected = tls_link_connected,
    .data = tls_link_data,
    .eof = tls_link_eof,
    .pause_writing = tls_link_pause_writing,
    .resume_writing = tls_link_resume_writing,
    .lost = tls_link_lost,
};

/* -- TLSLink
 * ----------------------------------------------------------------------------------------- */

static PyObject *
tls_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    FioTLS *self = (FioTLS *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->st = fio_state_of_type(type);
        self->super.link.ops = &tls_link_ops;
    }
    return (PyObject *)self;
}

static PyObject *
tls_done(int err)
{
    if (err < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(tls_attach_doc, "_attach($self, transport, /)\n"
                             "--\n\n"
                             "Write to this carrier, straight to its stream if it is one of ours.");

static PyObject *
tls_attach(FioTLS *self, PyObject *transport)
{
    if (PyObject_TypeCheck(transport, self->st->TransportType)) {
        FIO_SET_MONITOR(&self->super, ((FioTransport *)transport)->stream.loop);
    }
    FIO_HOLD_MONITOR(&self->super);
    tls_detach(self);
    if (PyObject_TypeCheck(transport, self->st->TransportType)) {
        self->wire = &((FioTransport *)transport)->stream.wire;
        self->carrier = Py_NewRef(transport);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(tls_feed_doc, "_feed($self, data, /)\n"
                           "--\n\n"
                           "Take ciphertext (bytes-like) that came by another carrier than ours.");

static PyObject *
tls_feed(FioTLS *self, PyObject *data)
{
    FIO_HOLD_MONITOR(&self->super);
    Py_buffer view;
    if (!tls_is_made(self) || PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    int err = fio_tls_on_data(self, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return tls_done(err);
}

PyDoc_STRVAR(tls_do_read_doc, "_do_read($self, /)\n--\n\nasyncio: SSLProtocol._do_read");

static PyObject *
tls_py_do_read(FioTLS *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(&self->super);
    return tls_is_made(self) ? tls_done(fio_tls_do_read(self)) : NULL;
}

PyDoc_STRVAR(tls_do_write_doc, "_do_write($self, /)\n--\n\nasyncio: SSLProtocol._do_write");

static PyObject *
tls_py_do_write(FioTLS *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(&self->super);
    return tls_is_made(self) ? tls_done(fio_tls_do_write(self)) : NULL;
}

PyDoc_STRVAR(tls_process_outgoing_doc,
             "_process_outgoing($self, /)\n--\n\nasyncio: SSLProtocol._process_outgoing");

static PyObject *
tls_py_process_outgoing(FioTLS *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(&self->super);
    return tls_is_made(self) ? tls_done(fio_tls_process_outgoing(self)) : NULL;
}

PyDoc_STRVAR(tls_write_appdata_doc,
             "_write_appdata($self, list_of_data, /)\n--\n\nasyncio: SSLProtocol._write_appdata");

static PyObject *
tls_py_write_appdata(FioTLS *self, PyObject *list_of_data)
{
    FIO_HOLD_MONITOR(&self->super);
    if (!tls_is_made(self)) {
        return NULL;
    }
    return tls_done(fio_tls_write_each(self, list_of_data));
}

static int
tls_traverse(FioTLS *self, visitproc visit, void *arg)
{
    Py_VISIT(self->sslobj);
    Py_VISIT(self->engine);
    Py_VISIT(self->incoming);
    Py_VISIT(self->outgoing);
    Py_VISIT(self->transport);
    Py_VISIT(self->app_protocol);
    Py_VISIT(self->state);
    Py_VISIT(self->backlog);
    Py_VISIT(self->carrier);
    return fio_link_traverse(&self->super, visit, arg);
}

static int
tls_clear(FioTLS *self)
{
    FIO_HOLD_MONITOR_IN_CLEAR(&self->super);
    tls_detach(self);
    Py_CLEAR(self->sslobj);
    Py_CLEAR(self->engine);
    Py_CLEAR(self->incoming);
    Py_CLEAR(self->outgoing);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->app_protocol);
    Py_CLEAR(self->state);
    Py_CLEAR(self->backlog);
    return fio_link_clear(&self->super);
}

static void
tls_dealloc(FioTLS *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)tls_clear(self);
    fio_link_end(&self->super);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef tls_methods[] = {
    {"_attach", (PyCFunction)tls_attach, METH_O, tls_attach_doc},
    {"_feed", (PyCFunction)tls_feed, METH_O, tls_feed_doc},
    {"_do_read", (PyCFunction)tls_py_do_read, METH_NOARGS, tls_do_read_doc},
    {"_do_write", (PyCFunction)tls_py_do_write, METH_NOARGS, tls_do_write_doc},
    {"_process_outgoing", (PyCFunction)tls_py_process_outgoing, METH_NOARGS,
     tls_process_outgoing_doc},
    {"_write_appdata", (PyCFunction)tls_py_write_appdata, METH_O, tls_write_appdata_doc},
    {NULL, NULL, 0, NULL},
};

/* SSLProtocol's own attributes, kept where the pump reads them. */
#define TLS_OBJECTS(X)               \
    X("_sslobj", sslobj)             \
    X("_incoming", incoming)         \
    X("_outgoing", outgoing)         \
    X("_transport", transport)       \
    X("_app_protocol", app_protocol) \
    X("_state", state)               \
    X("_write_backlog", backlog)

#if !FIO_GIL

/* Python's own way to a member locks the object: the pump holds its loop. */
static PyObject *
tls_get_object(FioTLS *self, void *offset)
{
    FIO_HOLD_MONITOR(&self->super);
    PyObject *value = *(PyObject **)((char *)self + (uintptr_t)offset);
    return Py_NewRef(value == NULL ? Py_None : value);
}

static int
tls_set_object(FioTLS *self, PyObject *value, void *offset)
{
    FIO_HOLD_MONITOR(&self->super);
    PyObject **member = (PyObject **)((char *)self + (uintptr_t)offset);
    Py_XSETREF(*member, Py_XNewRef(value));
    return 0;
}

static PyGetSetDef tls_getset[] = {
#define X(name, member)                                          \
    {name, (getter)tls_get_object, (setter)tls_set_object, NULL, \
     (void *)(uintptr_t)offsetof(FioTLS, member)},
    TLS_OBJECTS(X)
#undef X
        {NULL, NULL, NULL, NULL, NULL},
};

#endif

static PyMemberDef tls_members[] = {
#if FIO_GIL
#define X(name, member) {name, T_OBJECT, offsetof(FioTLS, member), 0, NULL},
    TLS_OBJECTS(X)
#undef X
#endif
        {"_write_buffer_size", T_PYSSIZET, offsetof(FioTLS, backlog_size), 0, NULL},
    {"_incoming_high_water", T_PYSSIZET, offsetof(FioTLS, incoming_high), 0, NULL},
    {"_incoming_low_water", T_PYSSIZET, offsetof(FioTLS, incoming_low), 0, NULL},
    {"_outgoing_high_water", T_PYSSIZET, offsetof(FioTLS, outgoing_high), 0, NULL},
    {"_outgoing_low_water", T_PYSSIZET, offsetof(FioTLS, outgoing_low), 0, NULL},
    {"_app_protocol_is_buffer", T_BOOL, offsetof(FioTLS, app_is_buffered), 0, NULL},
    {"_app_reading_paused", T_BOOL, offsetof(FioTLS, app_reading_paused), 0, NULL},
    {"_app_writing_paused", T_BOOL, offsetof(FioTLS, app_writing_paused), 0, NULL},
    {"_ssl_reading_paused", T_BOOL, offsetof(FioTLS, ssl_reading_paused), 0, NULL},
    {"_ssl_writing_paused", T_BOOL, offsetof(FioTLS, ssl_writing_paused), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tls_slots[] = {
    {Py_tp_doc, FIO_UNCONST("TLSLink(*args, **kwargs)\n--\n\nThe hot half of "
                            "asyncio.sslproto.SSLProtocol, under its names: moving bytes "
                            "through the SSL\nobject. Handshake and shutdown are SSLProtocol's.")},
    {Py_tp_new, tls_new},
    {Py_tp_dealloc, tls_dealloc},
    {Py_tp_traverse, tls_traverse},
    {Py_tp_clear, tls_clear},
    {Py_tp_methods, tls_methods},
    {Py_tp_members, tls_members},
#if !FIO_GIL
    {Py_tp_getset, tls_getset},
#endif
    {0, NULL},
};

static PyType_Spec tls_spec = {
    .name = "fastaio._core.TLSLink",
    .basicsize = sizeof(FioTLS),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = tls_slots,
};

/* -- SSLTransport
 * ------------------------------------------------------------------------------------ */

/* Writes `data`, or with `each` every item of it. */
static int
tls_transport_write_data(PyObject *self, PyObject *data, bool each)
{
    fio_state *st = fio_state_of_type(Py_TYPE(self));
    PyObject *protocol = PyObject_GetAttr(self, st->str__ssl_protocol);
    if (protocol == NULL) {
        return -1;
    }
    int err = 0;
    if (!PyObject_TypeCheck(protocol, st->TLSLinkType)) {
        /* None after a second close(): asyncio's transport has let go of its protocol then. */
        PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '_write_appdata'",
                     Py_TYPE(protocol)->tp_name);
        err = -1;
    }
    else {
        FioTLS *tls = (FioTLS *)protocol;
        FIO_HOLD_MONITOR(&tls->super);
        err = !tls_is_made(tls) ? -1
              : each            ? fio_tls_write_each(tls, data)
                                : fio_tls_write_one(tls, data);
    }
    Py_DECREF(protocol);
    return err;
}

static PyObject *
tls_transport_refuse(PyObject *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    PyObject *class = fio_state_of_type(Py_TYPE(self))->aio_SSLProtocolTransport;
    return fio_args_refuse(class, method, self, args, nargs, kwnames);
}

PyDoc_STRVAR(tls_transport_write_doc,
             "write($self, data)\n"
             "--\n\n"
             "Encrypt and send data (bytes, bytearray or memoryview), without waiting.\n\n"
             "TypeError for anything else. asyncio: WriteTransport.write");

static PyObject *
tls_transport_write(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *data = fio_args_one("write", "data", args, nargs, kwnames);
    if (data == NULL) {
        return tls_transport_refuse(self, "write", args, nargs, kwnames);
    }
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        PyErr_Format(PyExc_TypeError, "data: expecting a bytes-like instance, got %.200s",
                     Py_TYPE(data)->tp_name);
        return NULL;
    }
    Py_ssize_t size = PyObject_Size(data);
    if (size <= 0) {
        return tls_done((int)size);
    }
    return tls_done(tls_transport_write_data(self, data, false));
}

PyDoc_STRVAR(tls_transport_writelines_doc, "writelines($self, list_of_data)\n"
                                           "--\n\n"
                                           "Encrypt and send each of the bytes-like objects.\n\n"
                                           "asyncio: WriteTransport.writelines");

static PyObject *
tls_transport_writelines(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *list_of_data = fio_args_one("writelines", "list_of_data", args, nargs, kwnames);
    if (list_of_data == NULL) {
        return tls_transport_refuse(self, "writelines", args, nargs, kwnames);
    }
    return tls_done(tls_transport_write_data(self, list_of_data, true));
}

static PyMethodDef tls_transport_methods[] = {
    {"write", FIO_METHOD(tls_transport_write), METH_FASTCALL | METH_KEYWORDS,
     tls_transport_write_doc},
    {"writelines", FIO_METHOD(tls_transport_writelines), METH_FASTCALL | METH_KEYWORDS,
     tls_transport_writelines_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tls_transport_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The transport that an application has over TLS: what writes, in C; "
                            "the rest is its base's.")},
    {Py_tp_methods, tls_transport_methods},
    {0, NULL},
};

/* Size 0: the layout of its base, asyncio's class. */
static PyType_Spec tls_transport_spec = {
    .name = "fastaio._core.SSLTransport",
    .basicsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = tls_transport_slots,
};

int
fio_tls_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_state_add_type(module, &st->TLSLinkType, &tls_spec, (PyObject *)st->LinkType) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->SSLTransportType, &tls_transport_spec,
                              st->aio_SSLProtocolTransport);
}
