/* A loop in a forked child. Its epoll set, its wake-up and its signal pipe are the parent's too:
 * what the child did to them, the parent would feel. So right after the fork the child gets its
 * own, in which it watches what the parent watches; the descriptors themselves stay shared. */

#include "loop/fork.h"

#include "base/errors.h"
#include "loop/report.h"
#include "loop/resolver.h"
#include "loop/signal.h"
#include "loop/threads.h"
#include "loop/watch.h"

PyObject *
fio_fork_before(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    if (!loop->closed && loop->thread_id == PyThread_get_thread_ident()) {
        fio_loop_run_turn_end(loop);
    }
    Py_RETURN_NONE;
}

static int
fork_renew(FioLoop *loop)
{
    /* The thread that was waiting in the poll, if there was one, is not in the child. */
    loop->parked = NULL;
    if (loop->by_hand != PyThread_get_thread_ident()) {
        loop->by_hand = 0;
        loop->found = NULL;
    }
    loop->left_behind = loop->running;
    fio_resolver_fork(loop);
    fio_loop_drop_input(loop); /* the parent's to answer */
    atomic_store(&loop->crossing->blocking, false);
    if (fio_watches_fork(loop, loop->thread_id != 0) < 0) {
        return -1;
    }
    return fio_signal_fork(loop);
}

PyObject *
fio_fork_child(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    if (!loop->closed && fork_renew(loop) < 0) {
        /* Without them it cannot run: the error ends the run under way, or the next one. */
        fio_report_fatal(loop);
    }
    Py_RETURN_NONE;
}
