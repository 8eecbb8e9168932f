/* run_in_executor()'s second half: what a thread of the pool has made of a call gets to the loop.
 * The callbacks here are functions whose self is the tuple of what they need: (future, loop). An
 * executor's future keeps its callbacks for ever, so that they must not refer to it. */

#include "loop/executor.h"

#include "base/aio.h"

static PyObject *
executor_future(PyObject *self)
{
    return PyTuple_GET_ITEM(self, 0);
}

static FioLoop *
executor_loop(PyObject *self)
{
    return (FioLoop *)PyTuple_GET_ITEM(self, 1);
}

/* On the loop: source's result is destination's (asyncio: futures._copy_future_state, which is
 * called for everything else). */
static PyObject *
executor_copy(PyObject *self, PyObject *source)
{
    PyObject *destination = executor_future(self);
    fio_state *st = executor_loop(self)->st;
    int cancelled = fio_aio_asks(destination, st->str_cancelled);
    if (cancelled != 0) {
        return cancelled < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *exception = PyObject_CallMethodNoArgs(source, st->str_exception);
    bool failed = exception != Py_None;
    Py_XDECREF(exception);
    if (exception == NULL && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL; /* a signal's handler in its lock */
    }
    if (failed) {
        PyErr_Clear(); /* it was cancelled */
        PyObject *copy = fio_lazy_aio_copy_future_state(st);
        return copy == NULL ? NULL : PyObject_CallFunctionObjArgs(copy, source, destination, NULL);
    }
    PyObject *result = PyObject_CallMethodNoArgs(source, st->str_result);
    PyObject *none = NULL;
    if (result != NULL) {
        none = PyObject_CallMethodOneArg(destination, st->str_set_result, result);
        Py_DECREF(result);
    }
    return none;
}

static PyMethodDef executor_copy_def = {"_set_state", executor_copy, METH_O, NULL};

/* In the executor's thread: source is done (asyncio: _chain_future._call_set_state). */
static PyObject *
executor_done(PyObject *self, PyObject *source)
{
    FioLoop *loop = executor_loop(self);
    if (loop->closed) {
        Py_RETURN_NONE; /* nobody waits any more */
    }
    PyObject *copy = PyCFunction_New(&executor_copy_def, self);
    if (copy == NULL) {
        return NULL;
    }
    PyObject *handle = PyObject_CallMethodObjArgs(
        (PyObject *)loop, loop->st->str_call_soon_threadsafe, copy, source, NULL);
    Py_DECREF(copy);
    return handle;
}

static PyMethodDef executor_done_def = {"_call_set_state", executor_done, METH_O, NULL};

/* On the loop: destination is done (asyncio: _chain_future._call_check_cancel). */
static PyObject *
executor_check_cancel(PyObject *self, PyObject *destination)
{
    fio_state *st = executor_loop(self)->st;
    int cancelled = fio_aio_asks(destination, st->str_cancelled);
    if (cancelled <= 0) {
        return cancelled < 0 ? NULL : Py_NewRef(Py_None);
    }
    return PyObject_CallMethodNoArgs(executor_future(self), st->str_cancel);
}

static PyMethodDef executor_check_cancel_def = {"_call_check_cancel", executor_check_cancel, METH_O,
                                                NULL};

/* future.add_done_callback(a function of `def`, which refers to `other`) */
static int
executor_listen(FioLoop *loop, PyObject *future, PyMethodDef *def, PyObject *other)
{
    PyObject *self = PyTuple_Pack(2, other, (PyObject *)loop);
    PyObject *function = self == NULL ? NULL : PyCFunction_New(def, self);
    Py_XDECREF(self);
    if (function == NULL) {
        return -1;
    }
    PyObject *none = PyObject_CallMethodOneArg(future, loop->st->str_add_done_callback, function);
    Py_DECREF(function);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

PyObject *
fio_executor_chain(FioLoop *loop, PyObject *source)
{
    PyObject *destination = fio_future_new(loop->st, (PyObject *)loop);
    if (destination != NULL
        && (executor_listen(loop, destination, &executor_check_cancel_def, source) < 0
            || executor_listen(loop, source, &executor_done_def, destination) < 0)) {
        Py_CLEAR(destination);
    }
    return destination;
}
