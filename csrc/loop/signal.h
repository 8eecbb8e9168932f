#ifndef FIO_LOOP_SIGNAL_H
#define FIO_LOOP_SIGNAL_H

/* The pipe that signals ring; the methods stand in the Loop type's table. */

#include "loop/loop.h"

/* METH_NOARGS: the descriptor to give to signal.set_wakeup_fd(); made at the first call. */
PyObject *fio_signal_wakeup_fd(FioLoop *loop, PyObject *unused);

/* METH_NOARGS: the loop has handlers now, and programs can tell in which turn they run. */
PyObject *fio_signal_heed(FioLoop *loop, PyObject *unused);

/* METH_O: whether signals ring the pipe while the loop waits, and only then (bool). Returns whether
 * this Python can do so. */
PyObject *fio_signal_guard(FioLoop *loop, PyObject *on);

/* Before the length of a wait is told: from here on a signal ends it. Those that came before have
 * their Python handlers run; -1 where one raised, with the exception set. */
FIO_MUST_CHECK int fio_signal_wait_begin(FioLoop *loop);

/* Before anything else can ask for the wake-up descriptor; does nothing a second time. */
void fio_signal_wait_end(FioLoop *loop);

/* Is the watch that of the loop's own pipe? */
bool fio_signal_owns(const fio_watch *watch);

/* In a forked child, after fio_watches_fork(): a pipe of its own under the numbers of the one
 * shared with the parent. 0, or -1 with OSError set. */
FIO_MUST_CHECK int fio_signal_fork(FioLoop *loop);

/* Closes the pipe; after all watches were closed. */
void fio_signal_free(FioLoop *loop);

#endif
