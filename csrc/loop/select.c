/* A poll as asyncio's loop makes it: select() returns what it has found, and the turn deals with
 * what the selector's user, or what he has put in its place, hands over. Ordinary turns do not come
 * here. */

#include "loop/select.h"

#include "loop/report.h"
#include "loop/schedule.h"
#include "loop/threads.h"
#include "loop/timer.h"
#include "loop/watch.h"

#include <limits.h>
#include <math.h>

/* Milliseconds to wait: -1 is without end; -2 with an exception set. */
static int
select_milliseconds(PyObject *timeout)
{
    if (timeout == Py_None) {
        return -1;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -2;
    }
    if (!(seconds > 0.0)) {
        return 0;
    }
    /* asyncio: selectors.EpollSelector.select rounds up, too. */
    return seconds >= FIO_TIMER_LONGEST_WAIT ? FIO_TIMER_LONGEST_WAIT * 1000
                                             : (int)ceil(seconds * 1e3);
}

static int
select_append(PyObject *found, int fd, int events)
{
    PyObject *pair = Py_BuildValue("(ii)", fd, events);
    int result = pair == NULL ? -1 : PyList_Append(found, pair);
    Py_XDECREF(pair);
    return result;
}

void
fio_select_note(FioLoop *loop, int fd, int events)
{
    if (select_append(loop->found, fd, events) < 0) {
        PyErr_Clear(); /* no memory: the next poll finds it again */
    }
}

/* A poll that dispatches nothing: what it found, or NULL with an exception set. */
static PyObject *
select_poll(FioLoop *loop, int milliseconds)
{
    PyObject *found = loop->found = PyList_New(0);
    if (found == NULL) {
        return NULL;
    }
    PyObject *fatal = loop->fatal;
    loop->fatal = NULL;
    if (milliseconds == 0) {
        fio_watches_poll(loop, 0);
    }
    else {
        fio_loop_wait(loop, milliseconds < 0 ? -1 : milliseconds + FIO_WATCH_EARLY);
    }
    loop->found = NULL;
    PyObject *failed = loop->fatal;
    loop->fatal = fatal;
    if (failed != NULL) {
        PyErr_SetRaisedException(failed);
    }
    else if (PyErr_CheckSignals() == 0
             && (!atomic_load(&loop->crossing->filled)
                 || select_append(found, -1, UV_READABLE) == 0)) {
        return found;
    }
    Py_DECREF(found);
    return NULL;
}

PyObject *
fio_select_poll(FioLoop *loop, PyObject *timeout)
{
    int milliseconds = select_milliseconds(timeout);
    if (milliseconds < -1 || fio_loop_check_closed(loop) < 0) {
        return NULL;
    }
    bool elsewhere = loop->thread_id != 0 && loop->thread_id != PyThread_get_thread_ident();
    if (elsewhere || loop->parked != NULL || loop->found != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the loop is waiting already, or is another thread's");
        return NULL;
    }
    return select_poll(loop, milliseconds);
}

PyObject *
fio_select_found(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs)
{
    long fd = nargs == 2 ? PyLong_AsLong(args[0]) : -1;
    long events = nargs == 2 ? PyLong_AsLong(args[1]) : 0;
    if (PyErr_Occurred()) {
        return NULL;
    }
    fio_watch *watch = loop->closed || fd > INT_MAX ? NULL : fio_watch_of(loop, (int)fd);
    if (watch != NULL) {
        fio_watch_repeat(watch, (int)(events & (UV_READABLE | UV_WRITABLE)));
    }
    Py_RETURN_NONE;
}

/* asyncio: base_events._run_once */
static PyObject *
select_timeout(FioLoop *loop, bool has_work)
{
    if (has_work) {
        return PyLong_FromLong(0);
    }
    if (loop->timers.size == 0) {
        Py_RETURN_NONE;
    }
    double now = fio_timer_clock_seconds(loop);
    if (now == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    double seconds = fio_timer_first(loop) - now;
    if (!(seconds > 0.0)) {
        return PyLong_FromLong(0);
    }
    return PyFloat_FromDouble(seconds < FIO_TIMER_LONGEST_WAIT ? seconds : FIO_TIMER_LONGEST_WAIT);
}

void
fio_select_turn(FioLoop *loop, bool has_work)
{
    fio_state *st = loop->st;
    PyObject *timeout = select_timeout(loop, has_work);
    PyObject *selector = timeout == NULL ? NULL
                                         : PyObject_GetAttr((PyObject *)loop, st->str__selector);
    PyObject *events = selector == NULL
                           ? NULL
                           : PyObject_CallMethodOneArg(selector, st->str_select, timeout);
    PyObject *none = events == NULL ? NULL
                                    : PyObject_CallMethodOneArg((PyObject *)loop,
                                                                st->str__process_events, events);
    if (none == NULL) {
        fio_report_fatal(loop);
    }
    Py_XDECREF(none);
    Py_XDECREF(events);
    Py_XDECREF(selector);
    Py_XDECREF(timeout);
}
