/* A loop in a forked child. Its epoll set, its wake-up and its signal pipe are the parent's too:
 * what the child did to them, the parent would feel. So right after the fork the child gets its
 * own, in which it watches what the parent watches; the descriptors themselves stay shared. */

#include "loop/fork.h"

#include "base/errors.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/resolver.h"
#include "loop/signal.h"
#include "loop/threads.h"
#include "loop/watch.h"

PyObject *
fio_fork_before(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    FIO_HOLD(loop);
    if (!loop->closed && loop->thread_id == PyThread_get_thread_ident()) {
        fio_loop_run_turn_end(loop);
    }
    Py_RETURN_NONE;
}

/* The child has come back to the loop: it is the running one again, for the steps of tasks. */
static void
fork_returned(fio_deferred *deferred)
{
    FioLoop *loop = FIO_CONTAINER_OF(deferred, FioLoop, forked);
    PyObject *running = PyObject_CallNoArgs(loop->st->aio_get_running_or_none);
    PyObject *none = running == Py_None
                         ? PyObject_CallOneArg(loop->st->aio_set_running_loop, (PyObject *)loop)
                         : Py_XNewRef(running);
    Py_XDECREF(running);
    if (none == NULL) {
        fio_report_fatal(loop);
    }
    Py_XDECREF(none);
}

bool
fio_fork_excuses(const FioLoop *loop)
{
    if (!loop->forked.queued || !PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        return false;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *text = PyObject_Str(exc);
    PyObject *end = PyUnicode_FromString(" is not the running loop");
    if (text != NULL && end != NULL && PyUnicode_Tailmatch(text, end, 0, PY_SSIZE_T_MAX, 1) == 1) {
        Py_SETREF(exc, PyException_GetContext(exc));
    }
    PyErr_Clear();
    Py_XDECREF(end);
    Py_XDECREF(text);
    if (exc == NULL) {
        return true;
    }
    PyErr_SetRaisedException(exc);
    return false;
}

static int
fork_renew(FioLoop *loop)
{
    /* The thread that was waiting in the poll, if there was one, is not in the child. */
    loop->parked = NULL;
    loop->guarded = false;
    if (loop->by_hand != PyThread_get_thread_ident()) {
        loop->by_hand = 0;
        loop->found = NULL;
    }
    loop->left_behind = loop->running;
    if (FIO_TASKS_ASK_FOR_LOOP && loop->thread_id == PyThread_get_thread_ident()) {
        loop->forked.run = fork_returned;
        if (fio_ready_defer_first(loop, &loop->forked) < 0) {
            return -1;
        }
    }
    fio_loop_drop_input(loop); /* the parent's to answer */
    atomic_store(&loop->crossing->blocking, false);
    if (fio_resolver_fork(loop) < 0 || fio_watches_fork(loop, loop->thread_id != 0) < 0) {
        return -1;
    }
    return fio_signal_fork(loop);
}

PyObject *
fio_fork_child(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    fio_hold_fork((PyObject *)loop);
    FIO_HOLD(loop);
    if (!loop->closed && fork_renew(loop) < 0) {
        /* Without them it cannot run: the error ends the run under way, or the next one. */
        fio_report_fatal(loop);
    }
    Py_RETURN_NONE;
}
