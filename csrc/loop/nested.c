/* Nested runs, for loops that allow them (fastaio/nested.py). The turn is written so that a
 * callback may take turns itself: queues are read afresh after every callback, and what an outer
 * turn has in hand (events of a poll, output to send) is left to the inner one. */

#include "loop/nested.h"

PyObject *
fio_nested_run(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    FIO_HOLD(loop);
    if (loop->thread_id != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "the loop is not running in this thread");
        return NULL;
    }
    bool outer_stopping = loop->stopping;
    bool outer_stop_called = loop->stop_called;
    loop->stopping = false;
    loop->stop_called = false;
    loop->nesting++;
    fio_loop_run_turn_end(loop);
    int result = fio_loop_run(loop);
    loop->nesting--;
    bool stop_called = loop->stop_called;
    loop->stopping = outer_stopping;
    loop->stop_called = outer_stop_called;
    return result < 0 ? NULL : PyBool_FromLong(stop_called);
}

int
fio_loop_reenter_context(FioLoop *loop, PyObject **context)
{
    if (loop->nesting == 0) {
        return -1;
    }
    PyErr_Clear();
    PyObject *copy = PyContext_Copy(*context);
    if (copy == NULL) {
        return -1;
    }
    Py_SETREF(*context, copy);
    return PyContext_Enter(copy);
}
