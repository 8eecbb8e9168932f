/* Awaitables, coroutines and futures from C. The Ready type is the awaitable that never suspends:
 * both the generator protocol's fast way (am_send) and the plain iterator give its value at once.
 */

#include "base/aio.h"

typedef struct {
    PyObject_HEAD
    PyObject *value; /* owned; NULL once it was given */
} FioReady;

PyObject *
fio_ready_new(fio_state *st, PyObject *value)
{
    FioReady *self = PyObject_GC_New(FioReady, st->ReadyType);
    if (self == NULL) {
        return NULL;
    }
    self->value = Py_NewRef(value);
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

static PyObject *
ready_await(FioReady *self)
{
    if (self->value == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited awaitable");
        return NULL;
    }
    return Py_NewRef((PyObject *)self);
}

static PySendResult
ready_am_send(FioReady *self, PyObject *Py_UNUSED(sent), PyObject **result)
{
    FIO_HOLD(self);
    *result = self->value;
    self->value = NULL;
    if (*result == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited awaitable");
        return PYGEN_ERROR;
    }
    return PYGEN_RETURN;
}

void
fio_stop_iteration(PyObject *value)
{
    /* The value becomes StopIteration's argument even where it is a tuple or an exception. */
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    Py_DECREF(value);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
}

/* What am_send gives, in the words of an iterator. */
static PyObject *
coroutine_step(PyObject *self, PyObject *sent)
{
    PyObject *result = NULL;
    if (Py_TYPE(self)->tp_as_async->am_send(self, sent, &result) == PYGEN_RETURN) {
        fio_stop_iteration(result);
        return NULL;
    }
    return result;
}

PyObject *
fio_iternext_by_send(PyObject *self)
{
    return coroutine_step(self, Py_None);
}

static int
ready_traverse(FioReady *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->value);
    return 0;
}

static int
ready_clear(FioReady *self)
{
    Py_CLEAR(self->value);
    return 0;
}

static void
ready_dealloc(FioReady *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)ready_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot ready_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST(
         "An awaitable that has its value: awaiting it never suspends. It can be awaited once.")},
    {Py_tp_dealloc, ready_dealloc},
    {Py_tp_traverse, ready_traverse},
    {Py_tp_clear, ready_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, fio_iternext_by_send},
    {Py_am_await, ready_await},
    {Py_am_send, ready_am_send},
    {0, NULL},
};

static PyType_Spec ready_spec = {
    .name = "fastaio._core.Ready",
    .basicsize = sizeof(FioReady),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ready_slots,
};

PyObject *
fio_await_iterator(PyObject *awaitable)
{
    if (awaitable == NULL || PyCoro_CheckExact(awaitable)) {
        return awaitable;
    }
    PyAsyncMethods *methods = Py_TYPE(awaitable)->tp_as_async;
    PyObject *iterator = NULL;
    if (methods == NULL || methods->am_await == NULL) {
        PyErr_Format(PyExc_TypeError, "object %.200s can't be used in 'await' expression",
                     Py_TYPE(awaitable)->tp_name);
    }
    else {
        iterator = methods->am_await(awaitable);
    }
    Py_DECREF(awaitable);
    return iterator;
}

/* -- coroutines in C ------------------------------------------------------------------------------
 */

int
fio_coroutine_wait(FioCoroutine *self, PyObject *awaited)
{
    PyObject *waiting = fio_await_iterator(Py_XNewRef(awaited));
    if (waiting == NULL) {
        Py_XDECREF(awaited);
        return -1;
    }
    Py_XSETREF(self->awaited, awaited);
    Py_XSETREF(self->waiting, waiting);
    return 0;
}

void
fio_coroutine_unwait(FioCoroutine *self)
{
    Py_CLEAR(self->waiting);
    Py_CLEAR(self->awaited);
}

int
fio_coroutine_check_idle(const FioCoroutine *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return -1;
    }
    return 0;
}

/* May it go on? */
static int
coroutine_check(const FioCoroutine *self)
{
    if (fio_coroutine_check_idle(self) < 0) {
        return -1;
    }
    if (self->finished) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return -1;
    }
    return 0;
}

/* The exception that is raised, if any, stays raised. */
static void
coroutine_finish(FioCoroutine *self)
{
    PyObject *exc = PyErr_GetRaisedException();
    self->finished = true;
    self->kind->finish(self);
    fio_coroutine_unwait(self);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

PySendResult
fio_coroutine_am_send(PyObject *object, PyObject *sent, PyObject **result)
{
    FioCoroutine *self = (FioCoroutine *)object;
    FIO_HOLD_MONITOR(self);
    *result = NULL;
    if (coroutine_check(self) < 0) {
        return PYGEN_ERROR;
    }
    if (!self->started && sent != Py_None) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    self->started = true;
    self->running = true;
    PySendResult outcome = self->kind->advance(self, sent, result);
    self->running = false;
    if (outcome != PYGEN_NEXT) {
        coroutine_finish(self);
    }
    return outcome;
}

const char fio_coroutine_send_doc[] = PyDoc_STR("send($self, value, /)\n"
                                                "--\n\n"
                                                "Run to the next suspension, as a coroutine's.");

PyObject *
fio_coroutine_send(PyObject *self, PyObject *value)
{
    return coroutine_step(self, value);
}

/* Raises what throw() was given: an exception, or a type with its value. */
static void
coroutine_raise(PyObject *const *args, Py_ssize_t nargs)
{
    if (PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
    }
    else if (PyExceptionClass_Check(args[0])) {
        PyErr_SetObject(args[0], nargs > 1 && args[1] != Py_None ? args[1] : NULL);
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from BaseException, not %s",
                     Py_TYPE(args[0])->tp_name);
    }
}

const char fio_coroutine_throw_doc[] = PyDoc_STR(
    "throw($self, type, value=None, traceback=None, /)\n"
    "--\n\n"
    "Raise an exception where the coroutine waits.");

PyObject *
fio_coroutine_throw(FioCoroutine *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3) {
        PyErr_Format(PyExc_TypeError, "throw() takes 1 to 3 arguments, got %zd", nargs);
        return NULL;
    }
    FIO_HOLD_MONITOR(self);
    if (coroutine_check(self) < 0) {
        return NULL;
    }
    self->started = true;
    PyObject *result = NULL;
    if (self->waiting == NULL) {
        coroutine_raise(args, nargs);
    }
    else {
        /* What it waits for raises it, in whichever form it was given. */
        fio_state *st = fio_state_of_type(Py_TYPE(self));
        self->running = true;
        PyObject *method = PyObject_GetAttr(self->waiting, st->str_throw);
        result = method == NULL ? NULL : PyObject_Vectorcall(method, args, (size_t)nargs, NULL);
        Py_XDECREF(method);
        self->running = false;
    }
    if (result == NULL) {
        coroutine_finish(self);
    }
    return result;
}

const char fio_coroutine_close_doc[] = PyDoc_STR("close($self, /)\n"
                                                 "--\n\n"
                                                 "Give the call up.");

PyObject *
fio_coroutine_close(FioCoroutine *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD_MONITOR(self);
    if (fio_coroutine_check_idle(self) < 0) {
        return NULL;
    }
    if (!self->finished) {
        self->started = true;
        coroutine_finish(self);
    }
    Py_RETURN_NONE;
}

void
fio_coroutine_warn_unawaited(FioCoroutine *self, const char *owner, const char *name)
{
    if (self->started) {
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s.%s' was never awaited", owner,
                         name)
        < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

int
fio_coroutine_visit(FioCoroutine *self, visitproc visit, void *arg)
{
    FIO_VISIT_MONITOR(self);
    Py_VISIT(self->awaited);
    Py_VISIT(self->waiting);
    return 0;
}

/* -- futures --------------------------------------------------------------------------------------
 */

PyObject *
fio_future_new(fio_state *st, PyObject *loop)
{
    return PyObject_CallMethodNoArgs(loop, st->str_create_future);
}

int
fio_aio_asks(PyObject *object, PyObject *name)
{
    PyObject *answer = PyObject_CallMethodNoArgs(object, name);
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return truth;
}

static int
future_settle(fio_state *st, PyObject *future, PyObject *method, PyObject *value)
{
    Py_INCREF(future); /* whose methods may be the program's, and let go of it */
    int is_done = fio_aio_asks(future, st->str_done);
    int result = is_done < 0 ? -1 : 0;
    if (is_done == 0) {
        PyObject *none = PyObject_CallMethodOneArg(future, method, value);
        Py_XDECREF(none);
        result = none == NULL ? -1 : 0;
    }
    Py_DECREF(future);
    return result;
}

int
fio_future_set_result(fio_state *st, PyObject *future, PyObject *value)
{
    return future_settle(st, future, st->str_set_result, value);
}

int
fio_future_set_exception(fio_state *st, PyObject *future, PyObject *exc)
{
    return future_settle(st, future, st->str_set_exception, exc);
}

int
fio_aio_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->ReadyType, &ready_spec, NULL);
}
