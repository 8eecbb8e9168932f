#ifndef FIO_BASE_GC_H
#define FIO_BASE_GC_H

/* Objects for the garbage collector that do not bring its next run nearer. It runs after so many
 * new objects, whatever they are; in a burst of callbacks that wait it would be mostly the loop's
 * handles that make it run, and there is no garbage in those. As with the interpreter's own
 * freelists, which are not counted either. */

#include "base/state.h"

/* Finds out whether it can be done in this interpreter. */
FIO_MUST_CHECK int fio_gc_setup(fio_state *st);

/* PyObject_GC_New() without variable part, uncounted: not tracked, its members not set. `head` is
 * st->gc_head, kept by whoever may outlive the module. */
PyObject *fio_gc_new(size_t head, PyTypeObject *type);

/* PyObject_GC_Del() of it. */
void fio_gc_del(size_t head, void *self);

#endif
