/* Awaitables and futures from C. The Ready type is the awaitable that never suspends: both the
 * generator protocol's fast way (am_send) and the plain iterator give its value at once. */

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

static PyObject *
ready_iternext(FioReady *self)
{
    PyObject *value = NULL;
    if (ready_am_send(self, NULL, &value) == PYGEN_RETURN) {
        fio_stop_iteration(value);
    }
    return NULL;
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
    {Py_tp_dealloc, ready_dealloc},   {Py_tp_traverse, ready_traverse},
    {Py_tp_clear, ready_clear},       {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, ready_iternext}, {Py_am_await, ready_await},
    {Py_am_send, ready_am_send},      {0, NULL},
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

PyObject *
fio_future_new(fio_state *st, PyObject *loop)
{
    return PyObject_CallMethodNoArgs(loop, st->str_create_future);
}

static int
future_settle(fio_state *st, PyObject *future, PyObject *method, PyObject *value)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, st->str_done);
    if (done == NULL) {
        return -1;
    }
    int is_done = PyObject_IsTrue(done);
    Py_DECREF(done);
    if (is_done != 0) {
        return is_done < 0 ? -1 : 0;
    }
    PyObject *none = PyObject_CallMethodOneArg(future, method, value);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
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
