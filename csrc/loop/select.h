#ifndef FIO_LOOP_SELECT_H
#define FIO_LOOP_SELECT_H

/* loop._selector.select() for those who call it, and turns that wait by what a program has put in
 * its place (a clock of a test's, which has no time pass). */

#include "loop/loop.h"

/* METH_O: (timeout). Polls, for at most so many seconds (None: without end), and returns what was
 * found as a list of (descriptor, events), without doing anything about it. A negative descriptor:
 * another thread has called call_soon_threadsafe(). */
PyObject *fio_select_poll(FioLoop *loop, PyObject *timeout);

/* METH_FASTCALL: (fd, events). Has what the poll found done in this turn. */
PyObject *fio_select_found(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs);

/* The poll of a turn by loop._selector.select(timeout) and loop._process_events(), as asyncio's
 * turn does it; what they raise ends the run. */
FIO_COLD void fio_select_turn(FioLoop *loop, bool has_work);

/* While fio_select_poll() is on its way: the poll has found `events` of a descriptor. */
FIO_COLD void fio_select_note(FioLoop *loop, int fd, int events);

#endif
