#ifndef FIO_BASE_CONTEXT_H
#define FIO_BASE_CONTEXT_H

/* contextvars.Context without a copy for every callback. A callback that is given no context runs
 * in a copy of the one that was current when it was registered; as long as nobody sets a variable,
 * all those copies are alike, so one copy that is never entered (a snapshot) stands for many of
 * them until they run. */

#include "base/state.h"

/* Where the snapshot of last time is kept. */
typedef struct {
    PyObject *context; /* owned or NULL; used by others too, never entered while it stands here */
} fio_snapshot;

/* A copy of the current context, or the snapshot if it is still such a copy: not to be entered, nor
 * shown to anybody, before fio_context_own(). */
FIO_MUST_CHECK PyObject *fio_context_snapshot(fio_state *st, fio_snapshot *last);

/* Makes `*context`, which came from fio_context_snapshot(), the caller's alone. -1: MemoryError,
 * and it is as before. */
FIO_MUST_CHECK int fio_context_own(fio_snapshot *last, PyObject **context);

/* Gives up a context that came from fio_context_snapshot(); with its last user the snapshot goes.
 */
void fio_context_drop(fio_snapshot *last, FIO_STEALS PyObject *context);

/* Finds out once whether contexts can be told apart in this Python; else every one is a copy. */
FIO_MUST_CHECK int fio_context_setup(fio_state *st);

#endif
