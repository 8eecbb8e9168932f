#ifndef FIO_LOOP_FORK_H
#define FIO_LOOP_FORK_H

/* fork(): methods of the Loop type that fastaio/fork.py calls. */

#include "loop/loop.h"

/* METH_NOARGS, before a fork: sends what the turn under way has gathered, so that the child has no
 * copy of it to send again. */
PyObject *fio_fork_before(FioLoop *loop, PyObject *unused);

/* METH_NOARGS, in the child: cuts what the loop shares with the parent's. Raises OSError. */
PyObject *fio_fork_child(FioLoop *loop, PyObject *unused);

/* In the child a task cannot leave the step that has forked (FIO_TASKS_ASK_FOR_LOOP). Puts what the
 * step itself has raised in the place of what that raised; true: nothing, and no exception is set
 * any more. */
FIO_COLD bool fio_fork_excuses(const FioLoop *loop);

#endif
