#ifndef FIO_BASE_HOLD_H
#define FIO_BASE_HOLD_H

/* What takes the GIL's place where there is none. All that hangs on a loop is guarded by the loop
 * object: whoever is in our C code has it, and lets go of it where user code is called and where
 * the thread waits for anything, as it would of the GIL. These are Python's critical sections:
 * while a thread waits (in the poll, for a lock, in a system call), all that it holds is free, so
 * that two threads never wait for each other. With a GIL all of this is nothing.
 *
 * Only the object taken last is held for sure: what may wait for another one, any call of Python's
 * API that locks an object others use, is a point where the loop may change. */

#include "base/base.h"

#include <stdatomic.h>

/* One that other threads read, or set, without holding anything. */
#if FIO_GIL
typedef bool fio_flag;
#else
typedef atomic_bool fio_flag;
#endif

#if FIO_GIL

/* From here to the end of the block nobody else holds `object` (a reference to it is kept). */
#define FIO_HOLD(object) ((void)0)

/* The same of two at once: both are held for sure. `first` may be NULL. */
#define FIO_HOLD_BOTH(first, second) ((void)0)

/* Between the two, in one block, which calls user code: others may hold it. */
#define FIO_LET_GO(object) ((void)0)
#define FIO_TAKE_BACK() ((void)0)

/* A member of a struct: owned, the object to hold for what is in it; NULL: the struct's own. */
#define FIO_MONITOR_FIELD

/* Sets it in a new object; or later, once, which waits until nobody has the struct's own; lets go
 * of it, in tp_dealloc; its part of tp_traverse. */
#define FIO_INIT_MONITOR(self, object) ((void)(object))
#define FIO_SET_MONITOR(self, object) ((void)0)
#define FIO_CLEAR_MONITOR(self) ((void)0)
#define FIO_VISIT_MONITOR(self) ((void)0)

/* FIO_HOLD() of what `self` has for a monitor; the same where `self` may be NULL; in tp_clear,
 * where the struct itself may be without references; FIO_HOLD_BOTH() and FIO_LET_GO() of it. */
#define FIO_HOLD_MONITOR(self) ((void)0)
#define FIO_HOLD_MONITOR_OR_NONE(self) ((void)0)
#define FIO_HOLD_MONITOR_IN_CLEAR(self) ((void)0)
#define FIO_HOLD_MONITOR_AND(self, second) ((void)0)
#define FIO_LET_GO_MONITOR(self) ((void)0)

/* A list has a borrowed `object` that is to be used: true with a reference taken, false: its last
 * reference has gone in another thread, which is on its way to take it out of the list. Such an
 * object is fio_shown_in_lists() when it is made. */
static inline bool
fio_try_ref(PyObject *object)
{
    Py_INCREF(object);
    return true;
}

static inline void
fio_shown_in_lists(PyObject *Py_UNUSED(object))
{
}

/* In a forked child: who held `object` is not there any more. */
static inline void
fio_hold_fork(PyObject *Py_UNUSED(object))
{
}

#else

typedef struct {
    PyCriticalSection section;
    PyObject *object; /* owned */
    bool nested;      /* held before: nothing to be ended */
} fio_hold;

/* `object` may be NULL: nothing is held. */
void fio_hold_begin(fio_hold *hold, PyObject *object);
void fio_hold_end(fio_hold *hold);

#define FIO_HOLD_NAME_(line) fio_hold_##line
#define FIO_HOLD_NAME(line) FIO_HOLD_NAME_(line)
#define FIO_HOLD(object)                                                     \
    __attribute__((cleanup(fio_hold_end))) fio_hold FIO_HOLD_NAME(__LINE__); \
    fio_hold_begin(&FIO_HOLD_NAME(__LINE__), (PyObject *)(object))

typedef struct {
    PyCriticalSection *section; /* that was ended, or NULL: this thread has taken another last */
    PyObject *object;           /* borrowed: whoever holds it has a reference */
} fio_let_go_state;

void fio_let_go(fio_let_go_state *state, PyObject *object);
void fio_take_back(const fio_let_go_state *state);

typedef struct {
    PyCriticalSection2 section;
    PyObject *first;          /* owned */
    PyObject *second;         /* owned */
    fio_let_go_state gone[3]; /* what was held of the two one by one */
    bool nested;
} fio_hold_two;

void fio_hold_two_begin(fio_hold_two *hold, PyObject *first, PyObject *second);
void fio_hold_two_end(fio_hold_two *hold);

#define FIO_HOLD_BOTH(first, second)                                                 \
    __attribute__((cleanup(fio_hold_two_end))) fio_hold_two FIO_HOLD_NAME(__LINE__); \
    fio_hold_two_begin(&FIO_HOLD_NAME(__LINE__), (PyObject *)(first), (PyObject *)(second))

#define FIO_LET_GO(object)     \
    fio_let_go_state fio_gone; \
    fio_let_go(&fio_gone, (PyObject *)(object))
#define FIO_TAKE_BACK() fio_take_back(&fio_gone)

#define FIO_MONITOR_FIELD PyObject *monitor;

void fio_set_monitor(PyObject **field, PyObject *self, PyObject *object);

#define FIO_INIT_MONITOR(self, object) ((self)->monitor = Py_XNewRef((PyObject *)(object)))
#define FIO_SET_MONITOR(self, object) \
    fio_set_monitor(&(self)->monitor, (PyObject *)(self), (PyObject *)(object))
#define FIO_CLEAR_MONITOR(self) Py_CLEAR((self)->monitor)
#define FIO_VISIT_MONITOR(self) Py_VISIT((self)->monitor)

static inline PyObject *
fio_monitor(PyObject *const *field, PyObject *self)
{
    PyObject *monitor = __atomic_load_n(field, __ATOMIC_ACQUIRE);
    return monitor == NULL ? self : monitor;
}

void fio_hold_begin_monitor(fio_hold *hold, PyObject *const *field, PyObject *self);

#define FIO_HOLD_MONITOR_(field, self)                                       \
    __attribute__((cleanup(fio_hold_end))) fio_hold FIO_HOLD_NAME(__LINE__); \
    fio_hold_begin_monitor(&FIO_HOLD_NAME(__LINE__), field, (PyObject *)(self))

#define FIO_HOLD_MONITOR(self) FIO_HOLD_MONITOR_(&(self)->monitor, self)
#define FIO_HOLD_MONITOR_OR_NONE(self) \
    FIO_HOLD_MONITOR_((self) == NULL ? NULL : &(self)->monitor, self)
#define FIO_HOLD_MONITOR_IN_CLEAR(self) FIO_HOLD((self)->monitor)
#define FIO_HOLD_MONITOR_AND(self, second) \
    FIO_HOLD_BOTH(fio_monitor(&(self)->monitor, (PyObject *)(self)), second)
#define FIO_LET_GO_MONITOR(self) FIO_LET_GO(fio_monitor(&(self)->monitor, (PyObject *)(self)))

bool fio_try_ref(PyObject *object);
void fio_shown_in_lists(PyObject *object);
void fio_hold_fork(PyObject *object);

#endif

#endif
