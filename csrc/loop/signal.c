/* How signals end a poll. Python's C handler writes the number of each signal into a pipe
 * (signal.set_wakeup_fd), which the loop watches like any descriptor: so that a signal which comes
 * just before the poll ends it too, and none is lost while the loop is busy. The set-up and what
 * becomes of the numbers is Python (fastaio/loop.py).
 *
 * A loop without handlers of its own has its pipe rung only while it waits, so that others find no
 * wake-up descriptor; where Python does not lend us the function for it, as long as it runs. */

#include "loop/signal.h"

#include "base/errors.h"
#include "loop/report.h"
#include "loop/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Signals taken at once; the rest is read in the next turn. */
#define SIGNAL_BATCH 256

typedef struct fio_signals {
    fio_watch watch; /* of the reading end */
    int read_fd;
    int write_fd;
} fio_signals;

static void
signal_on_ready(fio_watch *watch, int Py_UNUSED(events))
{
    fio_signals *self = FIO_CONTAINER_OF(watch, fio_signals, watch);
    FioLoop *loop = watch->loop;
    char numbers[SIGNAL_BATCH];
    ssize_t count = read(self->read_fd, numbers, sizeof(numbers));
    if (count <= 0) {
        return; /* nobody but the handler writes here, so there is nothing but EAGAIN to meet */
    }
    /* Python's own handlers first: what they raise ends the run, as it would end a wait. */
    if (PyErr_CheckSignals() < 0) {
        fio_report_fatal(loop);
    }
    PyObject *result = PyObject_CallMethod((PyObject *)loop, "_process_self_data", "y#", numbers,
                                           (Py_ssize_t)count);
    if (result == NULL) {
        fio_loop_report(loop, "Exception while a signal was handled", NULL);
    }
    Py_XDECREF(result);
}

static int
signal_pipe(int ends[2])
{
    if (pipe(ends) < 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) < 0) {
            (void)close(ends[0]);
            (void)close(ends[1]);
            return -1;
        }
    }
    return 0;
}

/* Moves a descriptor from a number of which the program thinks that it is registered still: it has
 * closed the file, and would find it gone. */
static int
signal_make_way(FioLoop *loop, int fd)
{
    while (fio_watch_of(loop, fd) != NULL) {
        int other = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
        if (other < 0) {
            break;
        }
        (void)close(fd);
        fd = other;
    }
    return fd;
}

static fio_signals *
signal_open(FioLoop *loop)
{
    fio_signals *self = PyMem_Calloc(1, sizeof(fio_signals));
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    int ends[2] = {-1, -1};
    if (signal_pipe(ends) < 0) {
        fio_raise_errno(errno);
        PyMem_Free(self);
        return NULL;
    }
    ends[0] = signal_make_way(loop, ends[0]);
    self->watch.on_ready = signal_on_ready;
    self->watch.unheard = true;
    self->read_fd = ends[0];
    self->write_fd = ends[1];
    if (fio_watch_open(loop, &self->watch, self->read_fd) < 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        PyMem_Free(self);
        return NULL;
    }
    fio_watch_set(&self->watch, UV_READABLE);
    return self;
}

PyObject *
fio_signal_wakeup_fd(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    FIO_HOLD(loop);
    if (loop->closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    if (loop->signals == NULL) {
        loop->signals = signal_open(loop);
        if (loop->signals == NULL) {
            return NULL;
        }
    }
    return PyLong_FromLong(loop->signals->write_fd);
}

PyObject *
fio_signal_heed(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    FIO_HOLD(loop);
    if (loop->signals != NULL) {
        fio_watch_heed(&loop->signals->watch);
    }
    Py_RETURN_NONE;
}

PyObject *
fio_signal_guard(FioLoop *loop, PyObject *on)
{
    loop->guards = FIO_SETS_WAKEUP_FD && on == Py_True && loop->signals != NULL;
    return PyBool_FromLong(FIO_SETS_WAKEUP_FD);
}

int
fio_signal_wait_begin(FioLoop *loop)
{
    if (!loop->guards) {
        return 0;
    }
    int before = PySignal_SetWakeupFd(loop->signals->write_fd);
    if (before >= 0) {
        /* Somebody has asked for signals during the run; ours would ring only in polls. */
        (void)PySignal_SetWakeupFd(before);
        loop->guards = false;
        return 0;
    }
    loop->guarded = true;
    return PyErr_CheckSignals();
}

void
fio_signal_wait_end(FioLoop *loop)
{
    if (!loop->guarded) {
        return;
    }
    loop->guarded = false;
    int now = PySignal_SetWakeupFd(-1);
    if (loop->signals == NULL || now != loop->signals->write_fd) {
        (void)PySignal_SetWakeupFd(now); /* set by a handler that ran at the beginning */
    }
}

bool
fio_signal_owns(const fio_watch *watch)
{
    return watch->on_ready == signal_on_ready;
}

int
fio_signal_fork(FioLoop *loop)
{
    fio_signals *self = loop->signals;
    int ends[2] = {-1, -1};
    if (self == NULL) {
        return 0;
    }
    if (signal_pipe(ends) < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    /* Neither fails: both numbers are open. */
    (void)dup2(ends[0], self->read_fd);
    (void)dup2(ends[1], self->write_fd);
    (void)fcntl(self->read_fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(self->write_fd, F_SETFD, FD_CLOEXEC);
    (void)close(ends[0]);
    (void)close(ends[1]);
    /* Nothing that the parent watches: it is watched from the next poll on. */
    fio_watch_set(&self->watch, 0);
    fio_watch_set(&self->watch, UV_READABLE);
    return 0;
}

void
fio_signal_free(FioLoop *loop)
{
    fio_signals *self = loop->signals;
    loop->signals = NULL;
    if (self != NULL) {
        (void)close(self->read_fd);
        (void)close(self->write_fd);
        PyMem_Free(self);
    }
}
