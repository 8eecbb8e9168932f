/* Errors on their way out of C: to loop.call_exception_handler(), or, where asyncio lets them
 * through, out of run_forever(). And the two things debug mode wants to know of a callback: where
 * it came from and how long it took. The wording is made in fastaio/loop.py. */

#include "loop/report.h"

#include "loop/fork.h"

void
fio_report_fatal(FioLoop *loop)
{
    PyObject *exc = PyErr_GetRaisedException();
    assert(exc != NULL);
    if (loop->fatal == NULL) {
        loop->fatal = exc;
        return;
    }
    /* The first one ends the run; a second can only be shown. */
    PyErr_SetRaisedException(exc);
    PyErr_WriteUnraisable((PyObject *)loop);
}

/* The exceptions asyncio never hands to the exception handler. */
static bool
report_is_fatal(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
           || PyErr_ExceptionMatches(PyExc_SystemExit);
}

/* Ends a report: `result` is what the Python side gave. What a call_exception_handler() of the
 * program's raises ends the run. */
static void
report_done(FioLoop *loop, PyObject *result)
{
    if (result != NULL) {
        Py_DECREF(result);
    }
    else if (loop->running || report_is_fatal()) {
        fio_report_fatal(loop);
    }
    else {
        PyErr_WriteUnraisable((PyObject *)loop);
    }
}

/* loop.<name>(first, second) as from a place that handles `exc`: it is what sys.exc_info() gives,
 * and the context of what is raised. `second` may be NULL. */
static PyObject *
report_call(FioLoop *loop, PyObject *exc, PyObject *name, PyObject *first, PyObject *second)
{
    PyObject *handled = PyErr_GetHandledException();
    PyErr_SetHandledException(exc);
    FIO_LET_GO(loop);
    PyObject *result = PyObject_CallMethodObjArgs((PyObject *)loop, name, first, second, NULL);
    FIO_TAKE_BACK();
    PyErr_SetHandledException(handled);
    Py_XDECREF(handled);
    return result;
}

static int
report_add(PyObject *context, PyObject *name, PyObject *value)
{
    return value == NULL ? 0 : PyDict_SetItem(context, name, value);
}

static PyObject *
report_context(FioLoop *loop, const char *message, PyObject *exc, const fio_report_context *about)
{
    static const fio_report_context nothing = {NULL, NULL, NULL, NULL};
    fio_state *st = loop->st;
    about = about == NULL ? &nothing : about;
    PyObject *context = PyDict_New();
    PyObject *text = PyUnicode_FromString(message);
    if (context == NULL || text == NULL || PyDict_SetItem(context, st->str_message, text) < 0
        || PyDict_SetItem(context, st->str_exception, exc) < 0
        || report_add(context, st->str_transport, about->transport) < 0
        || report_add(context, st->str_protocol, about->protocol) < 0
        || report_add(context, st->str_handle, about->handle) < 0
        || report_add(context, st->str_task, about->task) < 0) {
        Py_CLEAR(context);
    }
    Py_XDECREF(text);
    return context;
}

void
fio_loop_report(FioLoop *loop, const char *message, const fio_report_context *about)
{
    assert(PyErr_Occurred());
    if (report_is_fatal()) {
        fio_report_fatal(loop);
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *context = report_context(loop, message, exc, about);
    PyObject *result = NULL;
    if (context != NULL) {
        result = report_call(loop, exc, loop->st->str_call_exception_handler, context, NULL);
        Py_DECREF(context);
    }
    report_done(loop, result);
    Py_DECREF(exc);
}

void
fio_report_handle(FioHandle *handle)
{
    FioLoop *loop = handle->loop;
    assert(PyErr_Occurred());
    if (fio_fork_excuses(loop)) {
        return;
    }
    if (report_is_fatal()) {
        fio_report_fatal(loop);
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *result = report_call(loop, exc, loop->st->str__callback_failed, (PyObject *)handle,
                                   exc);
    report_done(loop, result);
    Py_DECREF(exc);
}

PyObject *
fio_report_stack(FioLoop *loop)
{
    PyObject *frame = (PyObject *)PyEval_GetFrame();
    if (frame == NULL) {
        return PyList_New(0);
    }
    return PyObject_CallOneArg(loop->st->aio_extract_stack, frame);
}

fio_report_timing
fio_report_begin(FioHandle *handle)
{
    Py_XSETREF(handle->loop->current_handle, Py_NewRef((PyObject *)handle));
    return (fio_report_timing){.begin = fio_loop_now()};
}

void
fio_report_end(FioHandle *handle, const fio_report_timing *timing)
{
    fio_report_slow(handle->loop, (PyObject *)handle, timing->begin);
    Py_CLEAR(handle->loop->current_handle);
}

void
fio_report_slow(FioLoop *loop, PyObject *what, int64_t begin)
{
    double seconds = (double)(fio_loop_now() - begin) * 1e-9;
    if (loop->fatal != NULL) {
        return;
    }
    PyObject *limit = PyObject_GetAttr((PyObject *)loop, loop->st->str_slow_callback_duration);
    double limit_seconds = limit == NULL ? -1.0 : PyFloat_AsDouble(limit);
    Py_XDECREF(limit);
    if (PyErr_Occurred()) {
        fio_report_fatal(loop);
    }
    else if (seconds >= limit_seconds) {
        report_done(
            loop, PyObject_CallMethod((PyObject *)loop, "_callback_was_slow", "Od", what, seconds));
    }
}
