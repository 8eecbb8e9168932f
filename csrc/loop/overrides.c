/* Methods of the loop that were replaced: found once a run and whenever its class has changed, so
 * that calls from C cost no look-up where nothing is. */

#include "loop/overrides.h"

#include "base/aio.h"
#include "loop/clock.h"
#include "loop/report.h"
#include "loop/schedule.h"
#include "loop/timer.h"

/* 1: loop.<name> is another function than `ours`, 0, or -1. */
static int
overrides_differ(FioLoop *loop, PyObject *name, PyCFunction ours)
{
    PyObject *method = PyObject_GetAttr((PyObject *)loop, name);
    if (method == NULL) {
        return -1;
    }
    bool same = PyCFunction_Check(method) && PyCFunction_GET_FUNCTION(method) == ours;
    Py_DECREF(method);
    return !same;
}

/* 1: the loop waits by another select() than ours, 0, or -1. */
static int
overrides_select(FioLoop *loop)
{
    return loop->has_selector ? fio_aio_asks((PyObject *)loop, loop->st->str__selects_elsewhere)
                              : 0;
}

/* Methods that a program has put into asyncio's classes are put in front of ours. */
static int
overrides_take_patches(FioLoop *loop)
{
    fio_state *st = loop->st;
    PyTypeObject *type = (PyTypeObject *)st->aio_SelectorEventLoop;
    if (type->tp_version_tag != 0
        && type->tp_version_tag == fio_overrides_published(&st->patches_version)) {
        return 0;
    }
    PyObject *none = PyObject_CallMethod((PyObject *)loop, "_look_for_patches", NULL);
    if (none == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* a loop of the C type alone */
        return 0;
    }
    Py_XDECREF(none);
    /* Looked up, a class has a version again. */
    PyObject *time = none == NULL ? NULL : PyObject_GetAttr((PyObject *)type, st->str_time);
    Py_XDECREF(time);
    fio_overrides_publish(&st->patches_version, type->tp_version_tag);
    return time == NULL ? -1 : 0;
}

int
fio_overrides_look(FioLoop *loop)
{
    fio_state *st = loop->st;
    if (overrides_take_patches(loop) < 0) {
        return -1;
    }
    int time = overrides_differ(loop, st->str_time, FIO_METHOD(fio_timer_time_call));
    int call_at = time < 0
                      ? -1
                      : overrides_differ(loop, st->str_call_at, FIO_METHOD(fio_schedule_call_at));
    int turn = call_at < 0
                   ? -1
                   : overrides_differ(loop, st->str__run_once, (PyCFunction)fio_loop_run_once);
    int select = turn < 0 ? -1 : overrides_select(loop);
    if (select < 0) {
        return -1;
    }
    (void)fio_clock_look(st); /* also where it cannot be watched */
    loop->foreign_time = time > 0;
    loop->foreign_call_at = call_at > 0;
    loop->foreign_turn = turn > 0;
    loop->foreign_select = select > 0;
    loop->class_version = Py_TYPE(loop)->tp_version_tag;
    return 0;
}

void
fio_overrides_turn(FioLoop *loop)
{
    PyObject *none = PyObject_CallMethodNoArgs((PyObject *)loop, loop->st->str__run_once);
    if (none == NULL) {
        fio_report_fatal(loop);
    }
    Py_XDECREF(none);
}

/* A function in Python that does not stand in asyncio's module is another one, as is any other
 * callable. An error counts as no. */
static bool
overrides_run(PyObject *type, PyObject *names)
{
    PyObject *run = PyObject_GetAttrString(type, "_run");
    bool other = run != NULL && !(PyFunction_Check(run) && PyFunction_GET_GLOBALS(run) == names);
    Py_XDECREF(run);
    PyErr_Clear();
    return other;
}

bool
fio_overrides_look_at_handles(fio_state *st)
{
    PyObject *events = PyImport_ImportModule("asyncio.events");
    PyObject *names = events == NULL ? NULL : PyModule_GetDict(events);
    PyErr_Clear();
    st->foreign_handles = names != NULL
                          && (overrides_run(st->aio_Handle, names)
                              || overrides_run(st->aio_TimerHandle, names));
    fio_overrides_publish(&st->handle_version,
                          ((PyTypeObject *)st->aio_TimerHandle)->tp_version_tag);
    Py_XDECREF(events);
    return st->foreign_handles;
}
