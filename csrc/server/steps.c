/* The coroutine of a handler's Task: an object with the methods of a coroutine (asyncio takes it
 * for one by collections.abc.Coroutine) round the handler's own, which may have gone one step
 * already. */

#include "server/steps.h"

#include "server/dispatch.h"

void
fio_handling_clear(fio_handling *handling)
{
    Py_CLEAR(handling->coro);
    Py_CLEAR(handling->response);
    Py_CLEAR(handling->request);
    Py_CLEAR(handling->conn);
}

FioSteps *
fio_steps_new(fio_state *st, fio_steps_state state, PyObject *described)
{
    FioSteps *self = PyObject_GC_New(FioSteps, st->StepsType);
    if (self == NULL) {
        return NULL;
    }
    FIO_INIT_MONITOR(self, NULL);
    self->st = st;
    self->handling = (fio_handling){0};
    self->described = Py_XNewRef(described);
    self->awaited = NULL;
    self->error = NULL;
    self->state = (uint8_t)state;
    self->running = false;
    PyObject_GC_Track((PyObject *)self);
    return self;
}

/* -- driving what is being handled ----------------------------------------------------------------
 */

/* The coroutine is over: the answer, or what makes it. 1: there is another coroutine to run. */
static int
handling_settle(fio_handling *handling, PySendResult sent, PyObject *value)
{
    /* Its frame holds the request; gone before anybody asks who else holds it. */
    PyObject *coro = handling->coro;
    handling->coro = NULL;
    if (sent == PYGEN_ERROR) {
        PyObject *exc = PyErr_GetRaisedException();
        Py_DECREF(coro);
        PyErr_SetRaisedException(exc);
        return fio_dispatch_raised(handling);
    }
    Py_DECREF(coro);
    return fio_dispatch_value(handling, value);
}

static PySendResult
handling_step(fio_handling *handling, PyObject *value, PyObject **result)
{
    FIO_LET_GO_MONITOR(&handling->conn->super);
    PySendResult sent = PyIter_Send(handling->coro, value, result);
    FIO_TAKE_BACK();
    return sent;
}

/* Goes on after a step that ended as `sent` with `*result`. */
static PySendResult
handling_go_on(fio_handling *handling, PySendResult sent, PyObject **result)
{
    while (sent != PYGEN_NEXT) {
        int next = handling_settle(handling, sent, *result);
        *result = NULL;
        if (next < 0) {
            return PYGEN_ERROR;
        }
        if (next == 0) {
            *result = Py_NewRef(Py_None);
            return PYGEN_RETURN;
        }
        sent = handling_step(handling, Py_None, result);
    }
    return PYGEN_NEXT;
}

PySendResult
fio_handling_send(fio_handling *handling, PyObject *value, PyObject **result)
{
    *result = NULL;
    PySendResult sent = handling_step(handling, value, result);
    return handling_go_on(handling, sent, result);
}

/* What a call of throw() came to, in terms of PyIter_Send(). */
static PySendResult
throw_outcome(PyObject *yielded, PyObject **result)
{
    *result = yielded;
    if (yielded != NULL) {
        return PYGEN_NEXT;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return PYGEN_ERROR;
    }
    PyObject *stop = PyErr_GetRaisedException();
    *result = Py_NewRef(((PyStopIterationObject *)stop)->value);
    Py_DECREF(stop);
    return PYGEN_RETURN;
}

static PySendResult
handling_throw(fio_state *st, fio_handling *handling, PyObject *exc, PyObject **result)
{
    PyObject *throw = NULL;
    int found = PyObject_GetOptionalAttr(handling->coro, st->str_throw, &throw);
    PySendResult sent = PYGEN_ERROR;
    *result = NULL;
    if (found > 0) {
        FIO_LET_GO_MONITOR(&handling->conn->super);
        PyObject *yielded = PyObject_CallOneArg(throw, exc);
        FIO_TAKE_BACK();
        sent = throw_outcome(yielded, result);
        Py_DECREF(throw);
    }
    else if (found == 0) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    return handling_go_on(handling, sent, result);
}

/* -- the coroutine's protocol ---------------------------------------------------------------------
 */

static void
steps_close_state(FioSteps *self)
{
    self->state = FIO_STEPS_CLOSED;
    fio_handling_clear(&self->handling);
    Py_CLEAR(self->awaited);
    Py_CLEAR(self->error);
}

/* The first step was the last one. */
static PySendResult
steps_deliver_end(FioSteps *self, PyObject **result)
{
    PyObject *error = self->error;
    self->error = NULL;
    self->state = FIO_STEPS_CLOSED;
    if (error != NULL) {
        PyErr_SetRaisedException(error);
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static bool
steps_may_run(const FioSteps *self)
{
    if (self->running || self->state == FIO_STEPS_FIRST) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return false;
    }
    if (self->state == FIO_STEPS_CLOSED) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return false;
    }
    return true;
}

/* After the application ran; an exception that is set stays so. */
static void
steps_end_run(FioSteps *self, PySendResult sent)
{
    self->running = false;
    if (sent == PYGEN_NEXT) {
        return;
    }
    PyObject *exc = sent == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    steps_close_state(self);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

static PySendResult
steps_send_value(FioSteps *self, PyObject *value, PyObject **result)
{
    FIO_HOLD_MONITOR(self);
    *result = NULL;
    if (!steps_may_run(self)) {
        return PYGEN_ERROR;
    }
    if (self->state == FIO_STEPS_FINISHED) {
        return steps_deliver_end(self, result);
    }
    const bool is_held = self->state == FIO_STEPS_HELD;
    self->state = FIO_STEPS_LIVE;
    if (is_held) {
        *result = self->awaited;
        self->awaited = NULL;
        return PYGEN_NEXT;
    }
    self->running = true;
    PySendResult sent = fio_handling_send(&self->handling, value, result);
    steps_end_run(self, sent);
    return sent;
}

/* A cancellation that came before the task knew what its handler waits for: as asyncio does, the
 * future is cancelled first (asyncio: Task.cancel). 1: it is and will tell the handler. */
static int
steps_cancel_awaited(FioSteps *self, PyObject *exc)
{
    if (!PyErr_GivenExceptionMatches(exc, self->st->aio_CancelledError)) {
        return 0;
    }
    PyObject *args = ((PyBaseExceptionObject *)exc)->args;
    PyObject *message = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : NULL;
    PyObject *cancel = PyObject_GetAttr(self->awaited, self->st->str_cancel);
    if (cancel == NULL) {
        return -1;
    }
    PyObject *done = message == NULL || message == Py_None ? PyObject_CallNoArgs(cancel)
                                                           : PyObject_CallOneArg(cancel, message);
    Py_DECREF(cancel);
    if (done == NULL) {
        return -1;
    }
    int is_cancelled = PyObject_IsTrue(done);
    Py_DECREF(done);
    return is_cancelled;
}

static PySendResult
steps_throw_exception(FioSteps *self, PyObject *exc, PyObject **result)
{
    FIO_HOLD_MONITOR(self);
    *result = NULL;
    if (!steps_may_run(self)) {
        return PYGEN_ERROR;
    }
    if (self->state == FIO_STEPS_FINISHED) {
        return steps_deliver_end(self, result);
    }
    if (self->state == FIO_STEPS_HELD) {
        self->running = true; /* cancel() may be anybody's: nobody runs or closes us in it */
        int is_told = steps_cancel_awaited(self, exc);
        self->running = false;
        if (is_told < 0) {
            return PYGEN_ERROR;
        }
        if (is_told > 0) {
            return steps_send_value(self, Py_None, result);
        }
        Py_CLEAR(self->awaited);
    }
    self->state = FIO_STEPS_LIVE;
    self->running = true;
    PySendResult sent = handling_throw(self->st, &self->handling, exc, result);
    steps_end_run(self, sent);
    return sent;
}

/* A method's result for an outcome: StopIteration for an end. */
static PyObject *
steps_method_result(PySendResult sent, PyObject *result)
{
    if (sent == PYGEN_RETURN) {
        Py_DECREF(result); /* always None */
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    }
    return result;
}

static PyObject *
steps_send(FioSteps *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult sent = steps_send_value(self, value, &result);
    return steps_method_result(sent, result);
}

static PyObject *
steps_iternext(FioSteps *self)
{
    return steps_send(self, Py_None);
}

static PyObject *
steps_throw(FioSteps *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes one exception");
        return NULL;
    }
    PyObject *exc = args[0];
    if (PyExceptionInstance_Check(exc)) {
        Py_INCREF(exc);
    }
    else if (nargs > 1 && PyExceptionInstance_Check(args[1])) {
        exc = Py_NewRef(args[1]);
    }
    else {
        exc = PyObject_CallNoArgs(exc);
        if (exc == NULL) {
            return NULL;
        }
    }
    PyObject *result = NULL;
    PySendResult sent = steps_throw_exception(self, exc, &result);
    Py_DECREF(exc);
    return steps_method_result(sent, result);
}

static PyObject *
steps_close(FioSteps *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(self);
    if (self->running || self->state == FIO_STEPS_FIRST) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return NULL;
    }
    PyObject *coro = self->handling.coro;
    FioConn *conn = self->handling.conn;
    self->handling.coro = NULL;
    self->handling.conn = NULL;
    const bool is_its_own = conn != NULL && conn->request == self->handling.request;
    steps_close_state(self);
    PyObject *closed = Py_NewRef(Py_None);
    if (coro != NULL) {
        Py_SETREF(closed, PyObject_CallMethodNoArgs(coro, self->st->str_close));
        Py_DECREF(coro);
    }
    if (is_its_own) {
        PyObject *exc = closed == NULL ? PyErr_GetRaisedException() : NULL;
        fio_conn_fail(conn);
        if (exc != NULL) {
            PyErr_SetRaisedException(exc);
        }
    }
    Py_XDECREF((PyObject *)conn);
    return closed;
}

/* Names, frame and code are the handler's coroutine's: repr() of the task shows them. */
static PyObject *
steps_described(FioSteps *self, void *name)
{
    FIO_HOLD_MONITOR(self);
    if (self->described == NULL) {
        /* Of a handler that was over before anybody asked. */
        return strstr(name, "name") != NULL ? PyUnicode_FromString("handler") : Py_NewRef(Py_None);
    }
    return PyObject_GetAttrString(self->described, name);
}

static PyObject *
steps_repr(FioSteps *self)
{
    if (self->described == NULL) {
        return PyUnicode_FromString("<request handler>");
    }
    return PyUnicode_FromFormat("<request handler %R>", self->described);
}

static int
steps_traverse(FioSteps *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->handling.conn);
    Py_VISIT(self->handling.request);
    Py_VISIT(self->handling.coro);
    Py_VISIT(self->handling.response);
    Py_VISIT(self->described);
    Py_VISIT(self->awaited);
    Py_VISIT(self->error);
    FIO_VISIT_MONITOR(self);
    return 0;
}

static int
steps_clear(FioSteps *self)
{
    fio_handling_clear(&self->handling);
    Py_CLEAR(self->described);
    Py_CLEAR(self->awaited);
    Py_CLEAR(self->error);
    return 0;
}

static void
steps_dealloc(FioSteps *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)steps_clear(self);
    FIO_CLEAR_MONITOR(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef steps_methods[] = {
    {"send", (PyCFunction)steps_send, METH_O,
     PyDoc_STR("send($self, value, /)\n--\n\nRuns on until the handler has to wait.")},
    {"throw", FIO_METHOD(steps_throw), METH_FASTCALL,
     PyDoc_STR("throw($self, exception, /)\n--\n\nRaises an exception inside the handler.")},
    {"close", (PyCFunction)steps_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nEnds the handler; its connection is aborted.")},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(steps_described_doc, "As the handler's own coroutine has it.");

static PyGetSetDef steps_getset[] = {
    {"__name__", (getter)steps_described, NULL, steps_described_doc, "__name__"},
    {"__qualname__", (getter)steps_described, NULL, steps_described_doc, "__qualname__"},
    {"cr_await", (getter)steps_described, NULL, steps_described_doc, "cr_await"},
    {"cr_code", (getter)steps_described, NULL, steps_described_doc, "cr_code"},
    {"cr_frame", (getter)steps_described, NULL, steps_described_doc, "cr_frame"},
    {"cr_origin", (getter)steps_described, NULL, steps_described_doc, "cr_origin"},
    {"cr_running", (getter)steps_described, NULL, steps_described_doc, "cr_running"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot steps_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The coroutine of a handler's task, round the handler's own.")},
    {Py_tp_dealloc, steps_dealloc},
    {Py_tp_traverse, steps_traverse},
    {Py_tp_clear, steps_clear},
    {Py_tp_repr, steps_repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, steps_iternext},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, steps_send_value},
    {Py_tp_methods, steps_methods},
    {Py_tp_getset, steps_getset},
    {0, NULL},
};

static PyType_Spec steps_spec = {
    .name = "fastaio._core.Steps",
    .basicsize = sizeof(FioSteps),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = steps_slots,
};

int
fio_steps_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->StepsType, &steps_spec, NULL);
}
