/* The sock_ methods on plain sockets: coroutines in C that make the system call first and wait on
 * the descriptor only where it would block. Anything but an exact socket.socket, one that blocks,
 * and debug mode with its checks go to asyncio's own code. */

#include "loop/sock.h"

#include "base/args.h"
#include "base/errors.h"
#include "loop/readers.h"
#include "loop/sock_call.h"

#include <errno.h>

/* asyncio's own coroutine for a call with these arguments; those at the end may be NULL. */
static PyObject *
sock_inherited(FioLoop *loop, const fio_sock_operation *operation, PyObject *const *args)
{
    return PyObject_CallMethod(loop->st->aio_SelectorEventLoop, operation->params.function,
                               args[1] == NULL   ? "OO"
                               : args[2] == NULL ? "OOO"
                                                 : "OOOO",
                               (PyObject *)loop, args[0], args[1], args[2]);
}

int
fio_sock_call_fileno(FioSockCall *self)
{
    PyObject *number = PyObject_CallMethodNoArgs(self->args[0], self->loop->st->str_fileno);
    long fd = number == NULL ? -1 : PyLong_AsLong(number);
    Py_XDECREF(number);
    if (fd < 0 && !PyErr_Occurred()) {
        fio_raise_errno(EBADF); /* as the closed socket's own method */
    }
    return (int)fd;
}

int
fio_sock_call_blocks(FioSockCall *self)
{
    PyObject *timeout = PyObject_CallMethodNoArgs(self->args[0], self->loop->st->str_gettimeout);
    int blocks = timeout == NULL ? -1 : timeout == Py_None ? 1 : PyObject_IsTrue(timeout);
    Py_XDECREF(timeout);
    return blocks;
}

/* -- waiting --------------------------------------------------------------------------------------
 */

/* fio_coroutine_kind.finish */
static void
sock_call_finish(FioCoroutine *coroutine)
{
    FioSockCall *self = (FioSockCall *)coroutine;
    FioHandle *handle = self->handle;
    self->handle = NULL;
    if (handle != NULL) {
        /* Unless somebody else registered for the descriptor since. */
        if (!handle->cancelled) {
            fio_readers_unwait(self->loop, handle, self->operation->events);
        }
        Py_DECREF(handle);
    }
    if (self->has_view) {
        self->has_view = false;
        PyBuffer_Release(&self->view);
    }
    for (int i = 0; i < FIO_SOCK_ARGS; i++) {
        Py_CLEAR(self->args[i]);
    }
}

/* The descriptor is ready and the future still waits: tries again, and says how it went. */
static int
sock_call_try_again(FioSockCall *self)
{
    fio_state *st = self->loop->st;
    PyObject *value = NULL;
    int outcome = self->operation->attempt(self, &value);
    if (outcome == 0) {
        return 0;
    }
    if (outcome > 0) {
        outcome = fio_future_set_result(st, self->super.awaited, value);
    }
    else if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
             || PyErr_ExceptionMatches(PyExc_SystemExit)) {
        return -1; /* the loop's, not the task's */
    }
    else {
        value = PyErr_GetRaisedException();
        outcome = fio_future_set_exception(st, self->super.awaited, value);
    }
    Py_DECREF(value);
    return outcome;
}

/* The handle's callback. */
static PyObject *
sock_call_retry(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    FioSockCall *self = (FioSockCall *)object;
    FIO_HOLD(self->loop);
    if (self->super.awaited == NULL || self->super.running || self->super.finished) {
        Py_RETURN_NONE;
    }
    self->super.running = true; /* nobody closes what is being used here */
    PyObject *done = PyObject_CallMethodNoArgs(self->super.awaited, self->loop->st->str_done);
    int outcome = done == NULL ? -1 : 0;
    if (done == Py_False) { /* or it was cancelled: the coroutine hears of that from its task */
        outcome = sock_call_try_again(self);
    }
    Py_XDECREF(done);
    self->super.running = false;
    return outcome < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef sock_retry_method = {"_sock_retry", sock_call_retry, METH_NOARGS, NULL};

/* Registers for the descriptor and makes the future that the task will wait on. */
static int
sock_call_wait(FioSockCall *self)
{
    FioLoop *loop = self->loop;
    const int fd = fio_sock_call_fileno(self);
    PyObject *retry = fd < 0 ? NULL : PyCFunction_New(&sock_retry_method, (PyObject *)self);
    if (retry == NULL) {
        return -1;
    }
    const fio_call call = {.callback = retry};
    self->handle = (FioHandle *)fio_handle_new(loop, &call);
    Py_DECREF(retry);
    if (self->handle == NULL) {
        return -1;
    }
    fio_handle_track((PyObject *)self->handle);
    if (fio_readers_wait(loop, fd, self->handle, self->operation->events) < 0) {
        Py_CLEAR(self->handle);
        return -1;
    }
    return fio_coroutine_wait(&self->super, fio_future_new(loop->st, (PyObject *)loop));
}

/* -- the coroutine --------------------------------------------------------------------------------
 */

/* Leaves the rest to asyncio's own coroutine. */
static int
sock_call_hand_over(FioSockCall *self)
{
    return fio_coroutine_wait(&self->super,
                              sock_inherited(self->loop, self->operation, self->args));
}

/* From the first send() to the first wait: 1 done with *result set, 0 waiting, -1 exception set. */
static int
sock_call_start(FioSockCall *self, PyObject **result)
{
    int outcome = self->operation->begin(self);
    if (outcome <= 0) {
        return outcome < 0 ? -1 : sock_call_hand_over(self);
    }
    outcome = self->operation->attempt(self, result);
    if (outcome != 0) {
        return outcome;
    }
    if (self->moved == 0 && !self->connecting) {
        int blocks = fio_sock_call_blocks(self);
        if (blocks != 0) {
            return blocks < 0 ? -1 : sock_call_hand_over(self);
        }
    }
    return sock_call_wait(self);
}

/* fio_coroutine_kind.advance */
static PySendResult
sock_call_advance(FioCoroutine *coroutine, PyObject *sent, PyObject **result)
{
    if (coroutine->waiting == NULL) {
        int outcome = sock_call_start((FioSockCall *)coroutine, result);
        if (outcome != 0) {
            return outcome < 0 ? PYGEN_ERROR : PYGEN_RETURN;
        }
        sent = Py_None;
    }
    return PyIter_Send(coroutine->waiting, sent, result);
}

static const fio_coroutine_kind sock_call_kind = {sock_call_advance, sock_call_finish};

static int
sock_call_traverse(FioSockCall *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->handle);
    for (int i = 0; i < FIO_SOCK_ARGS; i++) {
        Py_VISIT(self->args[i]);
    }
    if (self->has_view) {
        Py_VISIT(self->view.obj);
    }
    return fio_coroutine_visit(&self->super, visit, arg);
}

static int
sock_call_clear(FioSockCall *self)
{
    FIO_HOLD(self->loop);
    self->super.finished = true;
    Py_CLEAR(self->handle);
    sock_call_finish(&self->super);
    fio_coroutine_unwait(&self->super);
    return 0;
}

static void
sock_call_finalize(FioSockCall *self)
{
    fio_coroutine_warn_unawaited(&self->super, "Loop", self->operation->params.function);
}

static void
sock_call_dealloc(FioSockCall *self)
{
    if (!self->super.started && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)sock_call_clear(self);
    fio_coroutine_end(&self->super);
    Py_CLEAR(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sock_call_methods[] = {
    FIO_COROUTINE_METHODS,
    {NULL, NULL, 0, NULL},
};

/* What the repr of a task shows. */
static PyObject *
sock_call_get_name(FioSockCall *self, void *closure)
{
    return PyUnicode_FromFormat("%s%s", closure == NULL ? "" : "Loop.",
                                self->operation->params.function);
}

static PyGetSetDef sock_call_getset[] = {
    {"__name__", (getter)sock_call_get_name, NULL, NULL, NULL},
    {"__qualname__", (getter)sock_call_get_name, NULL, NULL, FIO_UNCONST("")},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef sock_call_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioSockCall, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot sock_call_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST(
         "The coroutine of a sock_ method of the loop: done at once where the socket is ready.")},
    {Py_tp_dealloc, sock_call_dealloc},
    {Py_tp_finalize, sock_call_finalize},
    {Py_tp_traverse, sock_call_traverse},
    {Py_tp_clear, sock_call_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, fio_iternext_by_send},
    {Py_tp_methods, sock_call_methods},
    {Py_tp_members, sock_call_members},
    {Py_tp_getset, sock_call_getset},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, fio_coroutine_am_send},
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

/* Looks whether the methods of socket.socket are those that make the system call and no more: tests
 * put others in their place. 1 or 0, -1 with an exception set. */
static int
sock_look_at_class(FioLoop *loop, PyTypeObject *type)
{
    static const char *const names[] = {"connect",       "recv", "recv_into", "recvfrom",
                                        "recvfrom_into", "send", "sendto"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        PyObject *own = PyObject_GetAttrString((PyObject *)type, names[i]);
        PyObject *plain = NULL;
        if (own != NULL) {
            plain = PyObject_GetAttrString((PyObject *)type->tp_base, names[i]);
        }
        bool failed = plain == NULL;
        bool same = own == plain;
        Py_XDECREF(own);
        Py_XDECREF(plain);
        if (failed) {
            return -1;
        }
        if (!same) {
            return 0;
        }
    }
    PyObject *accept = PyObject_GetAttrString((PyObject *)type, "accept"); /* Python's, not C's */
    bool same = accept == loop->st->socket_accept;
    Py_XDECREF(accept);
    return accept == NULL ? -1 : same;
}

/* Is it a socket.socket, and not of a subclass, with the methods that class is made with? */
static int
sock_is_plain(FioLoop *loop, PyObject *sock)
{
    PyTypeObject *type = (PyTypeObject *)loop->st->socket_socket;
    if (!Py_IS_TYPE(sock, type)) {
        return 0;
    }
    unsigned int version = type->tp_version_tag;
    if (FIO_UNLIKELY(version == 0 || version != loop->socket_version)) {
        int plain = sock_look_at_class(loop, type);
        if (plain < 0) {
            return -1;
        }
        loop->socket_plain = plain != 0;
        loop->socket_version = type->tp_version_tag;
    }
    return loop->socket_plain;
}

static PyObject *
sock_call_new(FioLoop *loop, const fio_sock_operation *operation, PyObject *const *args,
              Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *given[FIO_SOCK_ARGS] = {NULL, NULL, NULL};
    FIO_HOLD(loop);
    if (fio_args_parse(&operation->params, args, nargs, kwnames, given) < 0) {
        return fio_loop_refuse(loop, operation->params.function, args, nargs, kwnames);
    }
    int plain = sock_is_plain(loop, given[0]);
    if (plain < 0) {
        return NULL;
    }
    if (!plain || loop->debug) {
        return sock_inherited(loop, operation, given);
    }
    PyTypeObject *type = loop->st->SockCallType;
    FioSockCall *self = (FioSockCall *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    fio_coroutine_init(&self->super, &sock_call_kind, (PyObject *)loop);
    self->loop = (FioLoop *)Py_NewRef((PyObject *)loop);
    self->operation = operation;
    for (int i = 0; i < FIO_SOCK_ARGS; i++) {
        self->args[i] = Py_XNewRef(given[i]);
    }
    return (PyObject *)self;
}

PyObject *
fio_sock_recv(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_recv_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_recv_into(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_recv_into_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_recvfrom(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_recvfrom_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_recvfrom_into(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_recvfrom_into_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_sendall(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_sendall_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_sendto(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_sendto_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_accept(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_accept_operation, args, nargs, kwnames);
}

PyObject *
fio_sock_connect(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return sock_call_new(loop, &fio_sock_connect_operation, args, nargs, kwnames);
}

int
fio_sock_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->SockCallType, &sock_call_spec, NULL);
}
