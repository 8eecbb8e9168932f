/* sock_recv(), sock_recv_into() and sock_sendall() on plain sockets: coroutines in C that make the
 * system call first and wait on the descriptor only where it would block. Anything but an exact
 * socket.socket, and debug mode with its checks, goes to asyncio's own code, as do the other
 * sock_ methods, which are not worth it. */

#include "loop/sock.h"

#include "base/args.h"
#include "base/errors.h"
#include "loop/poll.h"

#include <errno.h>
#include <sys/socket.h>

typedef struct FioSockCall FioSockCall;

typedef struct {
    const char *name; /* the method's */
    int events;       /* what to wait for: UV_READABLE or UV_WRITABLE */
    int buffer_flags; /* of PyObject_GetBuffer(), or -1: the second argument is a size */
    /* Makes the system call: 1 done with *result set, 0 it would block, -1 exception set. */
    int (*attempt)(FioSockCall *self, int fd, PyObject **result);
} sock_operation;

/* One call, as a coroutine: nothing happens before it is awaited. */
struct FioSockCall {
    PyObject_HEAD
    FioLoop *loop; /* owned */
    const sock_operation *operation;
    PyObject *sock;     /* owned; NULL once done */
    PyObject *argument; /* owned: data, buffer or size; NULL once done */
    PyObject *future;   /* owned: what the task waits on, or NULL */
    PyObject *waiting;  /* owned: the future's iterator, or NULL */
    FioHandle *handle;  /* owned: registered for the descriptor, or NULL */
    PyObject *weakrefs;
    Py_buffer view;   /* held from the start to the end if has_view */
    Py_ssize_t size;  /* bytes to receive */
    Py_ssize_t moved; /* bytes sent so far */
    bool has_view;
    bool started;
    bool running; /* inside send() */
};

/* -- system calls ---------------------------------------------------------------------------------
 */

/* Is `count` of a system call the end of the attempt? 1, 0 (it would block) or -1. */
static int
sock_outcome(ssize_t count)
{
    if (count >= 0) {
        return 1;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return 0;
    }
    fio_raise_errno(errno);
    return -1;
}

static ssize_t
sock_recv_bytes(int fd, char *into, size_t size)
{
    ssize_t count = 0;
    if (size == 0) {
        return 0; /* socket.socket.recv: nothing asked, nothing done */
    }
    do {
        count = recv(fd, into, size, MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    return count;
}

static int
sock_attempt_recv(FioSockCall *self, int fd, PyObject **result)
{
    if (self->size <= FIO_LOOP_SLAB_SIZE) {
        char *slab = fio_loop_slab(self->loop);
        if (slab == NULL) {
            return -1;
        }
        ssize_t count = sock_recv_bytes(fd, slab, (size_t)self->size);
        int outcome = sock_outcome(count);
        if (outcome == 1) {
            *result = PyBytes_FromStringAndSize(slab, count);
        }
        return outcome == 1 && *result == NULL ? -1 : outcome;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, self->size);
    if (bytes == NULL) {
        return -1;
    }
    ssize_t count = sock_recv_bytes(fd, PyBytes_AS_STRING(bytes), (size_t)self->size);
    int outcome = sock_outcome(count);
    if (outcome != 1) {
        Py_DECREF(bytes);
        return outcome;
    }
    if (_PyBytes_Resize(&bytes, count) < 0) {
        return -1;
    }
    *result = bytes;
    return 1;
}

static int
sock_attempt_recv_into(FioSockCall *self, int fd, PyObject **result)
{
    ssize_t count = sock_recv_bytes(fd, self->view.buf, (size_t)self->view.len);
    int outcome = sock_outcome(count);
    if (outcome == 1) {
        *result = PyLong_FromSsize_t(count);
    }
    return outcome == 1 && *result == NULL ? -1 : outcome;
}

static int
sock_attempt_sendall(FioSockCall *self, int fd, PyObject **result)
{
    const char *data = self->view.buf;
    do {
        ssize_t count = send(fd, data + self->moved, (size_t)(self->view.len - self->moved),
                             MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        int outcome = sock_outcome(count);
        if (outcome != 1) {
            return outcome;
        }
        self->moved += count;
    } while (self->moved < self->view.len);
    *result = Py_NewRef(Py_None);
    return 1;
}

static const sock_operation sock_recv_operation = {"sock_recv", UV_READABLE, -1, sock_attempt_recv};
static const sock_operation sock_recv_into_operation = {"sock_recv_into", UV_READABLE,
                                                        PyBUF_WRITABLE, sock_attempt_recv_into};
static const sock_operation sock_sendall_operation = {"sock_sendall", UV_WRITABLE, PyBUF_SIMPLE,
                                                      sock_attempt_sendall};

static int
sock_attempt(FioSockCall *self, PyObject **result)
{
    int fd = fio_poll_fileno(self->sock);
    if (fd < 0) {
        if (PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            fio_raise_errno(EBADF); /* as the closed socket's own method */
        }
        return -1;
    }
    return self->operation->attempt(self, fd, result);
}

/* -- waiting --------------------------------------------------------------------------------------
 */

/* Lets go of all that the call holds; it is over. */
static void
sock_call_finish(FioSockCall *self)
{
    FioHandle *handle = self->handle;
    self->handle = NULL;
    if (handle != NULL) {
        /* Unless somebody else registered for the descriptor since. */
        if (!handle->cancelled) {
            fio_poll_unwait(self->loop, handle, self->operation->events);
        }
        Py_DECREF(handle);
    }
    if (self->has_view) {
        self->has_view = false;
        PyBuffer_Release(&self->view);
    }
    Py_CLEAR(self->waiting);
    Py_CLEAR(self->future);
    Py_CLEAR(self->argument);
    Py_CLEAR(self->sock);
}

static int
sock_settle(FioSockCall *self, PyObject *method, PyObject *value)
{
    PyObject *none = PyObject_CallMethodOneArg(self->future, method, value);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* The descriptor is ready: the handle's callback. */
static PyObject *
sock_call_retry(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    FioSockCall *self = (FioSockCall *)object;
    fio_state *st = self->loop->st;
    if (self->future == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *done = PyObject_CallMethodNoArgs(self->future, st->str_done);
    bool over = done != Py_False; /* cancelled: the coroutine hears of it from its task */
    Py_XDECREF(done);
    if (over) {
        return done == NULL ? NULL : Py_NewRef(Py_None);
    }
    PyObject *result = NULL;
    int outcome = sock_attempt(self, &result);
    if (outcome == 0) {
        Py_RETURN_NONE;
    }
    if (outcome > 0) {
        outcome = sock_settle(self, st->str_set_result, result);
        Py_DECREF(result);
    }
    else {
        PyObject *exc = PyErr_GetRaisedException();
        outcome = sock_settle(self, st->str_set_exception, exc);
        Py_DECREF(exc);
    }
    return outcome < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef sock_retry_method = {"_sock_retry", sock_call_retry, METH_NOARGS, NULL};

/* Registers for the descriptor and makes the future that the task will wait on. */
static int
sock_call_wait(FioSockCall *self)
{
    FioLoop *loop = self->loop;
    PyObject *retry = PyCFunction_New(&sock_retry_method, (PyObject *)self);
    if (retry == NULL) {
        return -1;
    }
    const fio_call call = {.callback = retry};
    self->handle = (FioHandle *)fio_handle_new(loop, &call);
    Py_DECREF(retry);
    if (self->handle != NULL) {
        fio_handle_track((PyObject *)self->handle);
    }
    if (self->handle == NULL
        || fio_poll_wait(loop, self->sock, self->handle, self->operation->events) < 0) {
        Py_CLEAR(self->handle);
        return -1;
    }
    self->future = PyObject_CallMethodNoArgs((PyObject *)loop, loop->st->str_create_future);
    if (self->future != NULL) {
        self->waiting = PyObject_GetIter(self->future);
    }
    return self->waiting == NULL ? -1 : 0;
}

/* -- the coroutine --------------------------------------------------------------------------------
 */

static int
sock_call_begin(FioSockCall *self)
{
    if (self->operation->buffer_flags >= 0) {
        if (PyObject_GetBuffer(self->argument, &self->view, self->operation->buffer_flags) < 0) {
            if (self->operation->buffer_flags == PyBUF_WRITABLE
                && PyErr_ExceptionMatches(PyExc_BufferError)) {
                PyErr_Format(PyExc_TypeError,
                             "recv_into() argument 1 must be read-write bytes-like object, "
                             "not %.200s",
                             Py_TYPE(self->argument)->tp_name);
            }
            return -1;
        }
        self->has_view = true;
        return 0;
    }
    self->size = PyNumber_AsSsize_t(self->argument, PyExc_OverflowError);
    if (self->size < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "negative buffersize in recv");
    }
    return self->size < 0 ? -1 : 0;
}

static PySendResult
sock_call_advance(FioSockCall *self, PyObject *sent, PyObject **result)
{
    if (!self->started) {
        self->started = true;
        if (sock_call_begin(self) < 0) {
            return PYGEN_ERROR;
        }
        int outcome = sock_attempt(self, result);
        if (outcome != 0) {
            return outcome < 0 ? PYGEN_ERROR : PYGEN_RETURN;
        }
        if (sock_call_wait(self) < 0) {
            return PYGEN_ERROR;
        }
        sent = Py_None;
    }
    else if (self->waiting == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    return PyIter_Send(self->waiting, sent, result);
}

static PySendResult
sock_call_am_send(FioSockCall *self, PyObject *sent, PyObject **result)
{
    *result = NULL;
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return PYGEN_ERROR;
    }
    self->running = true;
    PySendResult outcome = sock_call_advance(self, sent, result);
    self->running = false;
    if (outcome != PYGEN_NEXT) {
        sock_call_finish(self);
    }
    return outcome;
}

/* What the generator protocol's methods give for an outcome. */
static PyObject *
sock_call_deliver(PySendResult outcome, PyObject *result)
{
    if (outcome == PYGEN_RETURN) {
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
        Py_DECREF(result);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
        return NULL;
    }
    return result;
}

static PyObject *
sock_call_iternext(FioSockCall *self)
{
    PyObject *result = NULL;
    PySendResult outcome = sock_call_am_send(self, Py_None, &result);
    return sock_call_deliver(outcome, result);
}

PyDoc_STRVAR(sock_call_send_doc, "send($self, value, /)\n"
                                 "--\n\n"
                                 "Run to the next suspension, as a coroutine's.");

static PyObject *
sock_call_send(FioSockCall *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = sock_call_am_send(self, value, &result);
    return sock_call_deliver(outcome, result);
}

PyDoc_STRVAR(sock_call_throw_doc, "throw($self, type, value=None, traceback=None, /)\n"
                                  "--\n\n"
                                  "Raise an exception where the coroutine waits.");

static PyObject *
sock_call_throw(FioSockCall *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3) {
        PyErr_Format(PyExc_TypeError, "throw() takes 1 to 3 arguments, got %zd", nargs);
        return NULL;
    }
    PyObject *result = NULL;
    if (self->waiting != NULL) {
        /* The future's iterator raises it, in whichever form it was given. */
        PyObject *method = PyObject_GetAttrString(self->waiting, "throw");
        if (method != NULL) {
            result = PyObject_Vectorcall(method, args, (size_t)nargs, NULL);
            Py_DECREF(method);
        }
    }
    else if (PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
    }
    else {
        PyErr_SetObject(args[0], nargs > 1 && args[1] != Py_None ? args[1] : NULL);
    }
    self->started = true;
    if (result == NULL) {
        sock_call_finish(self);
    }
    return result;
}

PyDoc_STRVAR(sock_call_close_doc, "close($self, /)\n"
                                  "--\n\n"
                                  "Give the call up.");

static PyObject *
sock_call_close(FioSockCall *self, PyObject *Py_UNUSED(ignored))
{
    self->started = true;
    sock_call_finish(self);
    Py_RETURN_NONE;
}

static int
sock_call_traverse(FioSockCall *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->sock);
    Py_VISIT(self->argument);
    Py_VISIT(self->future);
    Py_VISIT(self->waiting);
    Py_VISIT(self->handle);
    if (self->has_view) {
        Py_VISIT(self->view.obj);
    }
    return 0;
}

static int
sock_call_clear(FioSockCall *self)
{
    Py_CLEAR(self->handle);
    sock_call_finish(self);
    return 0;
}

static void
sock_call_finalize(FioSockCall *self)
{
    if (self->started) {
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine 'Loop.%s' was never awaited",
                         self->operation->name)
        < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

static void
sock_call_dealloc(FioSockCall *self)
{
    if (!self->started && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)sock_call_clear(self);
    Py_CLEAR(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sock_call_methods[] = {
    {"close", (PyCFunction)sock_call_close, METH_NOARGS, sock_call_close_doc},
    {"send", (PyCFunction)sock_call_send, METH_O, sock_call_send_doc},
    {"throw", FIO_METHOD(sock_call_throw), METH_FASTCALL, sock_call_throw_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef sock_call_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioSockCall, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot sock_call_slots[] = {
    {Py_tp_dealloc, sock_call_dealloc},
    {Py_tp_finalize, sock_call_finalize},
    {Py_tp_traverse, sock_call_traverse},
    {Py_tp_clear, sock_call_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, sock_call_iternext},
    {Py_tp_methods, sock_call_methods},
    {Py_tp_members, sock_call_members},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, sock_call_am_send},
    {0, NULL},
};

static PyType_Spec sock_call_spec = {
    .name = "fastaio._core.SockCall",
    .basicsize = sizeof(FioSockCall),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = sock_call_slots,
};

/* -- methods of the loop --------------------------------------------------------------------------
 */

/* asyncio's own coroutine of that name. */
static PyObject *
sock_inherited(FioLoop *loop, const char *name, PyObject *sock, PyObject *argument)
{
    return PyObject_CallMethod(loop->st->aio_SelectorEventLoop, name, "OOO", (PyObject *)loop, sock,
                               argument);
}

static PyObject *
sock_call_new(FioLoop *loop, const sock_operation *operation, PyObject *const *values)
{
    if (!Py_IS_TYPE(values[0], (PyTypeObject *)loop->st->socket_type) || loop->debug) {
        return sock_inherited(loop, operation->name, values[0], values[1]);
    }
    PyTypeObject *type = loop->st->SockCallType;
    FioSockCall *self = (FioSockCall *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->loop = (FioLoop *)Py_NewRef((PyObject *)loop);
    self->operation = operation;
    self->sock = Py_NewRef(values[0]);
    self->argument = Py_NewRef(values[1]);
    return (PyObject *)self;
}

PyObject *
fio_sock_recv(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"sock", "n", NULL};
    static const fio_params params = {"sock_recv", names, 2, 2};
    PyObject *values[2] = {NULL, NULL};
    if (fio_args_parse(&params, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    return sock_call_new(loop, &sock_recv_operation, values);
}

PyObject *
fio_sock_recv_into(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"sock", "buf", NULL};
    static const fio_params params = {"sock_recv_into", names, 2, 2};
    PyObject *values[2] = {NULL, NULL};
    if (fio_args_parse(&params, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    return sock_call_new(loop, &sock_recv_into_operation, values);
}

PyObject *
fio_sock_sendall(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"sock", "data", NULL};
    static const fio_params params = {"sock_sendall", names, 2, 2};
    PyObject *values[2] = {NULL, NULL};
    if (fio_args_parse(&params, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    return sock_call_new(loop, &sock_sendall_operation, values);
}

int
fio_sock_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->SockCallType, &sock_call_spec, NULL);
}
