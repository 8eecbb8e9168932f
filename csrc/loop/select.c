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

/* Milliseconds of a wait that libuv does not end for a signal. */
#define SELECT_DEAF_WAIT 50

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

/* One poll that dispatches nothing: it appends what it finds. 1: another thread has ended it, 0, or
 * -1 with an exception set. */
static int
select_once(FioLoop *loop, PyObject *found, int milliseconds)
{
    PyObject *fatal = loop->fatal;
    bool rung = false;
    loop->fatal = NULL;
    loop->found = found;
    if (milliseconds == 0) {
        fio_watches_poll(loop, 0);
    }
    else {
        bool brief = milliseconds > 0 && milliseconds < SELECT_DEAF_WAIT;
        rung = fio_loop_wait(loop, FIO_WATCH_EPOLL || brief ? milliseconds : SELECT_DEAF_WAIT);
    }
    loop->found = NULL;
    PyObject *failed = loop->fatal;
    loop->fatal = fatal;
    if (failed != NULL) {
        PyErr_SetRaisedException(failed);
        return -1;
    }
    return PyErr_CheckSignals() < 0 ? -1 : rung;
}

/* Polls until something is found or the time is over: a signal alone is no reason to return (PEP
 * 475). 0, or -1 with an exception set. */
static int
select_poll(FioLoop *loop, PyObject *found, int milliseconds)
{
    const int64_t millisecond = 1000000;
    int64_t end = fio_loop_now() + milliseconds * millisecond;
    for (;;) {
        int rung = select_once(loop, found, milliseconds);
        if (rung < 0) {
            return -1;
        }
        if (rung > 0 || atomic_load(&loop->crossing->filled)) {
            return select_append(found, -1, UV_READABLE);
        }
        int64_t left = end - fio_loop_now();
        /* With a GIL other threads' calls are in the ready ring at once. */
        if (PyList_GET_SIZE(found) > 0 || fio_loop_has_work(loop)
            || (milliseconds >= 0 && left <= 0)) {
            return 0;
        }
        milliseconds = milliseconds < 0 ? -1 : (int)((left + millisecond - 1) / millisecond);
    }
}

PyObject *
fio_select_poll(FioLoop *loop, PyObject *timeout)
{
    FIO_HOLD(loop);
    int milliseconds = select_milliseconds(timeout);
    if (milliseconds < -1 || fio_loop_check_closed(loop) < 0) {
        return NULL;
    }
    if (loop->found != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the loop is waiting already");
        return NULL;
    }
    PyObject *found = PyList_New(0);
    unsigned long outer = 0;
    if (found == NULL || fio_loop_begin_by_hand(loop, &outer) < 0) {
        Py_XDECREF(found);
        return NULL;
    }
    if (select_poll(loop, found, milliseconds) < 0) {
        Py_CLEAR(found);
    }
    fio_loop_end_by_hand(loop, outer);
    return found;
}

PyObject *
fio_select_found(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs)
{
    FIO_HOLD(loop);
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
    if (loop->timers.size + loop->c_timers.size == 0) {
        Py_RETURN_NONE;
    }
    double seconds = FIO_TIMER_LONGEST_WAIT;
    if (loop->c_timers.size > 0) {
        seconds = fmin(seconds, (double)(loop->c_timers.items[0].when - fio_loop_now()) * 1e-9);
    }
    if (loop->timers.size > 0) {
        double first = fio_timer_first(loop); /* time() may be the program's, and end it */
        double now = fio_timer_clock_seconds(loop);
        if (now == -1.0 && PyErr_Occurred()) {
            return NULL;
        }
        double left = first - now;
        seconds = left > 0.0 ? fmin(seconds, left) : 0.0; /* also for what is no number */
    }
    return seconds > 0.0 ? PyFloat_FromDouble(seconds) : PyLong_FromLong(0);
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
