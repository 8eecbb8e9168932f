/* Holding objects without a GIL: Python's critical sections, made cheap to take again by who has
 * them, and let go of for the time of a call. */

#include "base/hold.h"

#if !FIO_GIL

/* The thread's critical sections are a list, the last one first; in a link, two bits tell of the
 * section it leads to (Include/internal/pycore_critical_section.h, the same from 3.13 on). */
#define SECTION_INACTIVE ((uintptr_t)1)
#define SECTION_OF_TWO ((uintptr_t)2)
#define SECTION_BITS (SECTION_INACTIVE | SECTION_OF_TWO)

static PyCriticalSection *
section_of(uintptr_t link)
{
    return (PyCriticalSection *)(link & ~SECTION_BITS);
}

static bool
section_has(uintptr_t link, const PyMutex *mutex)
{
    return section_of(link)->_cs_mutex == mutex
           || ((link & SECTION_OF_TWO) != 0
               && ((PyCriticalSection2 *)section_of(link))->_cs_mutex2 == mutex);
}

static uintptr_t
last_section(void)
{
    return PyThreadState_Get()->critical_section;
}

/* Held by this thread, but not taken last? All in front of an inactive one are active. */
static bool
held_below(uintptr_t link, const PyMutex *mutex)
{
    while (link != 0 && (link & SECTION_INACTIVE) == 0) {
        if (section_has(link, mutex)) {
            return true;
        }
        link = section_of(link)->_cs_prev;
    }
    return false;
}

void
fio_hold_begin(fio_hold *hold, PyObject *object)
{
    uintptr_t last = last_section();
    hold->object = Py_XNewRef(object);
    hold->nested = object == NULL || (last != 0 && section_has(last, &object->ob_mutex));
    if (hold->nested) {
        return;
    }
    if (held_below(last, &object->ob_mutex)) {
        /* It would let go of that itself, but not before it has tried for long to get it. */
        PyEval_RestoreThread(PyEval_SaveThread());
    }
    PyCriticalSection_Begin(&hold->section, object);
}

void
fio_hold_end(fio_hold *hold)
{
    if (!hold->nested) {
        PyCriticalSection_End(&hold->section);
    }
    Py_XDECREF(hold->object);
}

void
fio_let_go(fio_let_go_state *state, PyObject *object)
{
    uintptr_t last = last_section();
    bool ours = last != 0 && (last & SECTION_BITS) == 0
                && section_of(last)->_cs_mutex == &object->ob_mutex;
    state->section = ours ? section_of(last) : NULL;
    state->object = object;
    if (ours) {
        PyCriticalSection_End(state->section);
    }
}

void
fio_take_back(const fio_let_go_state *state)
{
    if (state->section != NULL) {
        PyCriticalSection_Begin(state->section, state->object);
    }
}

void
fio_hold_two_begin(fio_hold_two *hold, PyObject *first, PyObject *second)
{
    uintptr_t last = last_section();
    hold->first = Py_NewRef(first == NULL ? second : first);
    hold->second = Py_NewRef(second);
    hold->nested = last != 0 && section_has(last, &hold->first->ob_mutex)
                   && section_has(last, &second->ob_mutex);
    if (hold->nested) {
        return;
    }
    /* What this thread has of them would have to be waited for; mostly it is what it took last. */
    fio_let_go(&hold->gone[0], hold->first);
    fio_let_go(&hold->gone[1], second);
    fio_let_go(&hold->gone[2], hold->first);
    last = last_section();
    if (held_below(last, &hold->first->ob_mutex) || held_below(last, &second->ob_mutex)) {
        PyEval_RestoreThread(PyEval_SaveThread());
    }
    PyCriticalSection2_Begin(&hold->section, hold->first, second);
}

void
fio_hold_two_end(fio_hold_two *hold)
{
    if (!hold->nested) {
        PyCriticalSection2_End(&hold->section);
        for (int i = 2; i >= 0; i--) {
            fio_take_back(&hold->gone[i]);
        }
    }
    Py_DECREF(hold->first);
    Py_DECREF(hold->second);
}

void
fio_hold_begin_monitor(fio_hold *hold, PyObject *const *field, PyObject *self)
{
    PyObject *monitor = self == NULL ? NULL : fio_monitor(field, self);
    fio_hold_begin(hold, monitor);
    while (monitor == self && self != NULL && fio_monitor(field, self) != self) {
        fio_hold_end(hold); /* it was set while we waited for the struct's own */
        monitor = fio_monitor(field, self);
        fio_hold_begin(hold, monitor);
    }
}

void
fio_set_monitor(PyObject **field, PyObject *self, PyObject *object)
{
    FIO_HOLD(self);
    if (*field == NULL && object != NULL) {
        __atomic_store_n(field, Py_NewRef(object), __ATOMIC_RELEASE);
    }
}

bool
fio_try_ref(PyObject *object)
{
    return PyUnstable_TryIncRef(object) != 0;
}

void
fio_shown_in_lists(PyObject *object)
{
    PyUnstable_EnableTryIncRef(object);
}

void
fio_hold_fork(PyObject *object)
{
    if (!held_below(last_section(), &object->ob_mutex)) {
        object->ob_mutex = (PyMutex){0};
    }
}

#endif
