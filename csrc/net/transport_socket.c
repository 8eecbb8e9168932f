/* The socket object of a transport: whose descriptor it is, the one made when somebody asks for it,
 * and what get_extra_info() tells of it, also after the end. */

#include "net/transport.h"

#include "base/errors.h"

int
fio_transport_fileno(fio_state *st, PyObject *sock)
{
    PyObject *number = PyObject_CallMethodNoArgs(sock, st->str_fileno);
    if (number == NULL) {
        return -1;
    }
    long fd = PyLong_AsLong(number);
    Py_DECREF(number);
    if (fd < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the socket is closed");
    }
    if (fd > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "Python int too large to convert to C int");
        return -1;
    }
    return fd < 0 ? -1 : (int)fd;
}

void
fio_socket_unwrap(fio_state *st, PyObject *sock)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *number = PyObject_CallMethodNoArgs(sock, st->str_detach);
    if (number == NULL) {
        PyErr_WriteUnraisable(sock);
    }
    Py_XDECREF(number);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

bool
fio_transport_has_descriptor(fio_stream *stream)
{
    FioTransport *self = fio_transport_of_stream(stream);
    fio_state *st = self->st;
    if (self->sock == NULL || !PyObject_TypeCheck(self->sock, (PyTypeObject *)st->socket_socket)) {
        return true;
    }
    /* Not a method of the program's: nothing else may run between two system calls. */
    PyObject *number = PyObject_CallOneArg(st->socket_fileno, self->sock);
    bool same = number != NULL && PyLong_AsLong(number) == self->fd;
    Py_XDECREF(number);
    if (PyErr_Occurred()) {
        PyErr_Clear();
    }
    return same;
}

int
fio_transport_put_extra(FioTransport *self, PyObject *name, PyObject *value)
{
    if (self->extra == NULL && (self->extra = PyDict_New()) == NULL) {
        return -1;
    }
    /* Kept: a name compares itself as it likes. */
    PyObject *extra = Py_NewRef(self->extra);
    int result = PyDict_SetItem(extra, name, value);
    Py_DECREF(extra);
    return result;
}

/* A socket object round a descriptor that so far was ours alone. */
static PyObject *
transport_make_socket(FioTransport *self)
{
    PyObject *none = Py_None;
    PyObject *fd = PyLong_FromLong(self->fd);
    if (fd == NULL) {
        return NULL;
    }
    PyObject *args[] = {NULL, fd};
    PyObject *names = PyTuple_Pack(1, self->st->str_fileno);
    PyObject *sock = names == NULL ? NULL
                                   : PyObject_Vectorcall(self->st->socket_socket, args + 1,
                                                         PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    Py_XDECREF(names);
    Py_DECREF(fd);
    if (sock == NULL) {
        return NULL;
    }
    none = PyObject_CallMethodOneArg(sock, self->st->str_setblocking, Py_False);
    if (none == NULL) {
        fio_socket_unwrap(self->st, sock); /* the descriptor stays ours */
        Py_DECREF(sock);
        return NULL;
    }
    Py_DECREF(none);
    return sock;
}

PyObject *
fio_transport_socket(FioTransport *self)
{
    if (!self->open) {
        Py_RETURN_NONE;
    }
    if (self->sock == NULL) {
        PyObject *made = transport_make_socket(self);
        if (made == NULL) {
            return NULL;
        }
        if (self->open && self->sock == NULL) {
            self->sock = made;
        }
        else {
            /* It took Python code to make it: the transport has ended meanwhile, or has one. */
            fio_socket_unwrap(self->st, made);
            Py_DECREF(made);
        }
    }
    return Py_NewRef(self->sock == NULL ? Py_None : self->sock);
}

/* asyncio.trsock.TransportSocket, what get_extra_info("socket") gives. */
static PyObject *
transport_wrap_socket(FioTransport *self)
{
    PyObject *sock = fio_transport_socket(self);
    if (sock == NULL) {
        return NULL;
    }
    if (sock == Py_None) {
        /* Asked for the first time after the end: a closed socket, as asyncio's is by then. */
        int family = self->peer.size > 0 ? self->peer.as.any.sa_family : AF_UNIX;
        Py_SETREF(sock, PyObject_CallFunction(self->st->socket_socket, "i", family));
        PyObject *none = sock == NULL ? NULL : PyObject_CallMethodNoArgs(sock, self->st->str_close);
        if (none == NULL) {
            Py_XDECREF(sock);
            return NULL;
        }
        Py_DECREF(none);
    }
    PyObject *wrapped = PyObject_CallOneArg(self->st->aio_TransportSocket, sock);
    Py_DECREF(sock);
    return wrapped;
}

static PyObject *
transport_local_name(FioTransport *self)
{
    if (!self->open || self->local.size > 0) {
        return fio_addr_to_python(&self->local.as.any, self->local.size);
    }
    fio_any_addr addr;
    fio_addr_of_socket(self->fd, &addr);
    return fio_addr_to_python((const struct sockaddr *)&addr.as, addr.size);
}

int
fio_transport_extra(FioTransport *self, PyObject *name, PyObject **value)
{
    fio_state *st = self->st;
    if (self->extra != NULL) {
        PyObject *extra = Py_NewRef(self->extra);
        int found = PyDict_GetItemRef(extra, name, value);
        Py_DECREF(extra);
        if (found != 0) {
            return found;
        }
    }
    *value = NULL;
    if (!self->stream.kind->is_socket || !PyUnicode_Check(name)) {
        return 0;
    }
    if (PyUnicode_Compare(name, st->str_peername) == 0) {
        *value = fio_addr_to_python(&self->peer.as.any, self->peer.size);
    }
    else if (PyUnicode_Compare(name, st->str_sockname) == 0) {
        *value = transport_local_name(self);
    }
    else if (PyUnicode_Compare(name, st->str_socket) == 0) {
        *value = transport_wrap_socket(self);
    }
    else {
        return 0;
    }
    if (*value == NULL || fio_transport_put_extra(self, name, *value) < 0) {
        Py_CLEAR(*value);
        return -1;
    }
    return 1;
}

PyObject *
fio_transport_all_extra(FioTransport *self)
{
    PyObject *names[] = {self->st->str_socket, self->st->str_sockname, self->st->str_peername};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        PyObject *value = NULL;
        if (fio_transport_extra(self, names[i], &value) < 0) {
            return NULL;
        }
        Py_XDECREF(value);
    }
    if (self->extra == NULL) {
        self->extra = PyDict_New();
    }
    return Py_XNewRef(self->extra);
}
