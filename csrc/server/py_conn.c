/* The Python type ServerProtocol: what applications see of a connection, and the way to take one
 * over for another protocol. */

#include "base/args.h"
#include "server/conn_parts.h"

PyDoc_STRVAR(conn_doc,
             "ServerProtocol(server)\n--\n\n"
             "One HTTP/1.1 connection of an HttpServer; an asyncio.Protocol on any event loop.");

static PyObject *
conn_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"server", NULL};
    static const fio_params spec = {"ServerProtocol", params, 1, 1};
    PyObject *server = NULL;
    if (fio_args_parse_tuple(&spec, args, kwargs, &server) < 0) {
        return NULL;
    }
    fio_state *st = fio_state_of_type(type);
    if (!PyObject_TypeCheck(server, st->HttpServerType)) {
        PyErr_Format(PyExc_TypeError, "server must be an HttpServer, got %.200s",
                     Py_TYPE(server)->tp_name);
        return NULL;
    }
    FioConn *self = (FioConn *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->super.link.ops = &fio_conn_link_ops;
    self->server = (FioServer *)Py_NewRef(server);
    self->wait = FIO_WAIT_NONE;
    fio_list_init(&self->member);
    fio_list_init(&self->waiting);
    fio_shown_in_lists((PyObject *)self);
    return (PyObject *)self;
}

static int
conn_traverse(FioConn *self, visitproc visit, void *arg)
{
    Py_VISIT(self->server);
    Py_VISIT(self->context);
    Py_VISIT(self->transport);
    Py_VISIT(self->request);
    Py_VISIT(self->task);
    Py_VISIT(self->drain_waiters);
    Py_VISIT(self->heir);
    Py_VISIT(self->dict);
    return fio_link_traverse(&self->super, visit, arg);
}

static int
conn_clear(FioConn *self)
{
    FIO_HOLD_MONITOR_IN_CLEAR(&self->super);
    self->wire = NULL;
    if (self->request != NULL && self->request->body != NULL) {
        fio_body_detach(self->request->body); /* whoever holds it must not ask us for more */
    }
    Py_CLEAR(self->context);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->request);
    Py_CLEAR(self->task);
    Py_CLEAR(self->drain_waiters);
    Py_CLEAR(self->heir);
    Py_CLEAR(self->dict);
    return fio_link_clear(&self->super);
}

/* Takes itself out of what is its server's and the loop's. */
static void
conn_leave(FioConn *self)
{
    FIO_HOLD_MONITOR_IN_CLEAR(&self->super);
    if (self->resume.queued) { /* of a loop that was closed and not run to the end */
        fio_loop_undefer(self->server->own_loop, &self->resume);
    }
    (void)fio_server_unlink(self->server, self);
    if (self->parser != NULL) {
        fio_server_parser_give(self->server, self->parser);
    }
}

static void
conn_dealloc(FioConn *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    conn_leave(self);
    PyMem_Free(self->head); /* the pool it is from needs the state, which may be gone */
    fio_buf_free(&self->pending);
    (void)conn_clear(self);
    Py_CLEAR(self->server);
    fio_link_end(&self->super);
    type->tp_free(self);
    Py_DECREF(type);
}

/* -- methods --------------------------------------------------------------------------------------
 */

static PyObject *
conn_close(FioConn *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(&self->super);
    fio_conn_shut(self);
    Py_RETURN_NONE;
}

static PyObject *
conn_abort(FioConn *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(&self->super);
    fio_conn_abort(self);
    Py_RETURN_NONE;
}

static PyObject *
conn_keep_alive(FioConn *self, PyObject *value)
{
    int is_kept = PyObject_IsTrue(value);
    if (is_kept < 0) {
        return NULL;
    }
    self->keep_alive = is_kept;
    Py_RETURN_NONE;
}

/* Takes the connection out of this object's hands. */
static void
conn_let_go(FioConn *self)
{
    fio_conn_pause(self, FIO_PAUSE_BODY | FIO_PAUSE_PIPELINE, false);
    self->phase = FIO_PHASE_CLOSED;
    self->wire = NULL;
    if (self->resume.queued) {
        fio_loop_undefer(self->server->own_loop, &self->resume);
    }
    fio_conn_drop_parser(self);
    fio_server_leave(self->server, self);
    fio_conn_drop_request(self);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->super.foreign);
}

static PyObject *
conn_hand_over(FioConn *self, PyObject *protocol)
{
    FIO_HOLD_MONITOR(&self->super);
    if (self->wire == NULL || self->wire->closing || self->phase >= FIO_PHASE_LINGER) {
        PyErr_SetString(PyExc_ConnectionResetError, "the connection is closed");
        return NULL;
    }
    self->wire->ops->flush(self->wire);
    if (self->transport == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "the connection is closed");
        return NULL;
    }
    PyObject *transport = Py_NewRef(self->transport);
    PyObject *done = PyObject_CallMethod(transport, "set_protocol", "O", protocol);
    Py_DECREF(transport);
    if (done == NULL) {
        return NULL;
    }
    Py_DECREF(done);
    conn_let_go(self);
    Py_XSETREF(self->heir, Py_NewRef(protocol));
    if (!self->in_data) {
        fio_conn_give_rest(self, (fio_view){NULL, 0});
    }
    Py_RETURN_NONE;
}

static PyObject *
or_none(PyObject *value)
{
    return Py_NewRef(value == NULL ? Py_None : value);
}

static PyObject *
conn_get_transport(FioConn *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(&self->super);
    return or_none(self->transport);
}

static PyObject *
conn_get_task(FioConn *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(&self->super);
    return or_none(self->task);
}

static PyObject *
conn_get_request(FioConn *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(&self->super);
    return or_none((PyObject *)self->request);
}

static PyObject *
conn_get_server(FioConn *self, void *Py_UNUSED(closure))
{
    return or_none((PyObject *)self->server);
}

static PyObject *
conn_get_loop(FioConn *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(&self->super);
    return or_none(self->loop);
}

static PyObject *
conn_get_served(FioConn *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(&self->super);
    return PyLong_FromUnsignedLongLong(self->served);
}

static PyMethodDef conn_methods[] = {
    {"close", (PyCFunction)conn_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nCloses an idle connection at once, a busy one after its "
               "answer.")},
    {"abort", (PyCFunction)conn_abort, METH_NOARGS,
     PyDoc_STR("abort($self, /)\n--\n\nCloses at once, dropping unsent output.")},
    {"force_close", (PyCFunction)conn_abort, METH_NOARGS,
     PyDoc_STR("force_close($self, /)\n--\n\nThe same, by aiohttp's name.")},
    {"keep_alive", (PyCFunction)conn_keep_alive, METH_O,
     PyDoc_STR("keep_alive($self, value, /)\n--\n\nWhether the connection stays open after the "
               "current answer.")},
    {"hand_over", (PyCFunction)conn_hand_over, METH_O,
     PyDoc_STR("hand_over($self, protocol, /)\n--\n\nGives the transport to another protocol, "
               "which is not told connection_made() but gets all bytes that were received and "
               "not read. The request is over without an answer of its own. Raises "
               "ConnectionResetError when the client is gone.")},
    {"_resume", (PyCFunction)fio_conn_py_resume, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef conn_getset[] = {
    {"transport", (getter)conn_get_transport, NULL,
     PyDoc_STR("The asyncio.Transport, None when there is no connection."), NULL},
    {"task", (getter)conn_get_task, NULL,
     PyDoc_STR("The task of the handler that runs or waits, or None."), NULL},
    {"request", (getter)conn_get_request, NULL, PyDoc_STR("The request being handled, or None."),
     NULL},
    {"server", (getter)conn_get_server, NULL, PyDoc_STR("The HttpServer."), NULL},
    {"loop", (getter)conn_get_loop, NULL, PyDoc_STR("The event loop, or None."), NULL},
    {"served", (getter)conn_get_served, NULL, PyDoc_STR("Number of requests answered."), NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef conn_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FioConn, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioConn, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot conn_slots[] = {
    {Py_tp_doc, FIO_UNCONST(conn_doc)},
    {Py_tp_new, conn_new},
    {Py_tp_dealloc, conn_dealloc},
    {Py_tp_traverse, conn_traverse},
    {Py_tp_clear, conn_clear},
    {Py_tp_methods, conn_methods},
    {Py_tp_getset, conn_getset},
    {Py_tp_members, conn_members},
    {0, NULL},
};

/* Not immutable: its base's base, asyncio.Protocol, is not. */
static PyType_Spec conn_spec = {
    .name = "fastaio._core.ServerProtocol",
    .basicsize = sizeof(FioConn),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = conn_slots,
};

int
fio_conn_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->ServerProtocolType, &conn_spec,
                              (PyObject *)st->LinkType);
}
