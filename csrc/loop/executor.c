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

/* What source has come to: 1 and *result; 0: it has none; -1: exception set. */
#if FIO_EXECUTOR_SNAPSHOTS

static int
executor_result(fio_state *st, PyObject *source, PyObject **result)
{
    PyObject *snapshot = PyObject_CallMethodNoArgs(source, st->str__get_snapshot);
    if (snapshot == NULL) {
        return -1;
    }
    int usual = PyTuple_CheckExact(snapshot) && PyTuple_GET_SIZE(snapshot) == 4
                && PyTuple_GET_ITEM(snapshot, 1) == Py_False /* cancelled */
                && PyTuple_GET_ITEM(snapshot, 3) == Py_None; /* exception */
    if (usual) {
        *result = Py_NewRef(PyTuple_GET_ITEM(snapshot, 2));
    }
    Py_DECREF(snapshot);
    return usual;
}

#else

static int
executor_result(fio_state *st, PyObject *source, PyObject **result)
{
    PyObject *exception = PyObject_CallMethodNoArgs(source, st->str_exception);
    if (exception == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return -1;
        }
        PyErr_Clear(); /* it was cancelled */
        return 0;
    }
    Py_DECREF(exception);
    if (exception != Py_None) {
        return 0;
    }
    *result = PyObject_CallMethodNoArgs(source, st->str_result);
    return *result == NULL ? -1 : 1;
}

#endif

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
    PyObject *result = NULL;
    int usual = executor_result(st, source, &result);
    if (usual < 0) {
        return NULL; /* a signal's handler in its lock */
    }
    if (usual == 0) {
        PyObject *copy = fio_lazy_aio_copy_future_state(st);
        return copy == NULL ? NULL : PyObject_CallFunctionObjArgs(copy, source, destination, NULL);
    }
    PyObject *none = PyObject_CallMethodOneArg(destination, st->str_set_result, result);
    Py_DECREF(result);
    return none;
}

static PyMethodDef executor_copy_def = {"_set_state", executor_copy, METH_O, NULL};

/* Whether this is the thread that runs the loop, and such a result need not cross over to it; -1:
 * exception set. */
static int
executor_is_home(FioLoop *loop)
{
    if (!fio_compat_tells_at_once()) {
        return 0;
    }
    PyObject *running = PyObject_CallNoArgs(loop->st->aio_get_running_or_none);
    Py_XDECREF(running);
    return running == NULL ? -1 : running == (PyObject *)loop;
}

/* In the executor's thread: source is done (asyncio: _chain_future._call_set_state). */
static PyObject *
executor_done(PyObject *self, PyObject *source)
{
    FioLoop *loop = executor_loop(self);
    if (loop->closed) {
        Py_RETURN_NONE; /* nobody waits any more */
    }
    int home = executor_is_home(loop);
    if (home != 0) {
        return home < 0 ? NULL : executor_copy(self, source);
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
