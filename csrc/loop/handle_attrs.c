/* The attributes of Handle and TimerHandle. One that is set while the callback runs leaves that
 * call what it was called with. */

#include "loop/handle_attrs.h"

#include "base/attr.h"
#include "loop/threads.h"
#include "loop/timer.h"

/* -- reading --------------------------------------------------------------------------------------
 */

/* While it runs, cancel() leaves callback and arguments in their place. */
static bool
handle_shows_call(FioHandle *self)
{
    return self->callback != NULL
           && (!self->cancelled || self->shows_call
               || atomic_load(&self->running) == FIO_HANDLE_IDLE
               || (self->rare != NULL && self->rare->keeps_call));
}

static PyObject *
handle_get_callback(FioHandle *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    fio_handle_lock(self);
    PyObject *callback = Py_NewRef(handle_shows_call(self) ? self->callback : Py_None);
    fio_handle_unlock(self);
    return callback;
}

PyObject *
fio_handle_get_args(FioHandle *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    PyObject *args[FIO_HANDLE_INLINE_ARGS];
    fio_handle_lock(self);
    bool shown = handle_shows_call(self);
    PyObject *more_args = shown ? Py_XNewRef(fio_handle_more_args(self)) : NULL;
    int nargs = shown ? fio_handle_inline_args(self) : 0;
    for (int i = 0; i < nargs; i++) {
        args[i] = Py_NewRef(self->args[i]);
    }
    fio_handle_unlock(self);
    if (!shown) {
        Py_RETURN_NONE;
    }
    if (more_args != NULL) {
        return more_args;
    }
    PyObject *tuple = PyTuple_New(nargs);
    for (int i = 0; i < nargs; i++) {
        if (tuple != NULL) {
            PyTuple_SET_ITEM(tuple, i, args[i]);
        }
        else {
            Py_DECREF(args[i]);
        }
    }
    return tuple;
}

static PyObject *
handle_get_loop(FioHandle *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    PyObject *given = self->rare == NULL ? NULL : self->rare->loop;
    return Py_NewRef(given != NULL ? given : (PyObject *)self->loop);
}

static PyObject *
handle_get_rare(FioHandle *self, void *closure)
{
    FIO_HOLD(self->loop);
    PyObject *value = NULL;
    if (self->rare != NULL) {
        value = *(PyObject **)((char *)self->rare + (Py_ssize_t)(intptr_t)closure);
    }
    return Py_NewRef(value == NULL ? Py_None : value);
}

static PyObject *
handle_get_context(FioHandle *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    if (fio_handle_own_context(self) < 0) {
        return NULL;
    }
    return Py_NewRef(self->context == NULL ? Py_None : self->context);
}

static PyObject *
handle_get_cancelled(FioHandle *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->cancelled);
}

static PyObject *
handle_get_class(FioHandle *self, void *Py_UNUSED(closure))
{
    /* isinstance(handle, asyncio.Handle) holds through this. */
    const fio_state *st = self->loop->st;
    return Py_NewRef(self->threadsafe ? st->aio_ThreadSafeHandle : st->aio_Handle);
}

static PyObject *
timer_handle_get_class(FioTimerHandle *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->base.loop->st->aio_TimerHandle);
}

static PyObject *
timer_handle_get_when(FioTimerHandle *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->base.loop);
    const fio_handle_rare *rare = self->base.rare;
    if (rare != NULL && rare->when_object != NULL) {
        return Py_NewRef(rare->when_object);
    }
    return PyFloat_FromDouble(self->when);
}

static PyObject *
timer_handle_get_scheduled(FioTimerHandle *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->base.loop);
    const fio_handle_rare *rare = self->base.rare;
    bool waits = self->timer.place != 0;
    if (rare != NULL && rare->scheduled != NULL && rare->scheduled_waits == waits) {
        return Py_NewRef(rare->scheduled);
    }
    return PyBool_FromLong(waits);
}

/* -- setting --------------------------------------------------------------------------------------
 */

/* Lets go of what an attribute was; a call that goes on may still use it. */
static int
handle_put_away(FioHandle *self, FIO_STEALS PyObject *before)
{
    if (before == NULL || atomic_load(&self->running) == FIO_HANDLE_IDLE) {
        Py_XDECREF(before);
        return 0;
    }
    fio_handle_rare *rare = self->rare; /* made by the setter */
    if (rare->kept == NULL) {
        rare->kept = PyList_New(0);
    }
    if (rare->kept == NULL || PyList_Append(rare->kept, before) < 0) {
        return -1; /* `before` is not freed: better than too early */
    }
    Py_DECREF(before);
    return 0;
}

static int
handle_set_callback(FioHandle *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    if (fio_handle_rare_of(self) == NULL) {
        return -1;
    }
    fio_handle_lock(self);
    PyObject *before = self->callback;
    self->callback = Py_NewRef(value);
    if (before == NULL) { /* cancelled: there are no arguments */
        self->nargs = FIO_HANDLE_GIVEN;
        Py_XSETREF(self->rare->args, Py_NewRef(Py_None));
    }
    fio_handle_unlock(self);
    return handle_put_away(self, before);
}

static int
handle_set_args(FioHandle *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    if (fio_handle_rare_of(self) == NULL) {
        return -1;
    }
    fio_handle_lock(self);
    PyObject *before[FIO_HANDLE_INLINE_ARGS + 1];
    int count = fio_handle_inline_args(self);
    memcpy(before, self->args, (size_t)count * sizeof(PyObject *));
    before[count] = fio_handle_more_args(self);
    if (self->callback == NULL) {
        self->callback = Py_NewRef(Py_None);
    }
    self->nargs = FIO_HANDLE_GIVEN;
    self->rare->args = Py_NewRef(value);
    fio_handle_unlock(self);
    int result = 0;
    for (int i = 0; i <= count; i++) {
        if (handle_put_away(self, before[i]) < 0) {
            result = -1;
        }
    }
    return result;
}

static int
handle_set_cancelled(FioHandle *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    int truth = PyObject_IsTrue(value);
    if (truth < 0 || fio_handle_rare_of(self) == NULL) {
        return -1;
    }
    fio_handle_lock(self);
    self->rare->keeps_call = true; /* not cancel(), which drops it */
    self->cancelled = truth > 0;
    bool none = self->callback == NULL;
    fio_handle_unlock(self);
    return none ? handle_set_callback(self, Py_None, NULL) : 0;
}

static int
handle_set_context(FioHandle *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->loop);
    if (fio_handle_rare_of(self) == NULL) {
        return -1;
    }
    PyObject *before = self->context;
    bool in_snapshot = self->in_snapshot;
    self->context = Py_NewRef(value);
    self->in_snapshot = false;
    if (in_snapshot) {
        fio_context_drop(&self->loop->snapshot, before);
        return 0;
    }
    return handle_put_away(self, before);
}

static int
handle_set_rare(FioHandle *self, PyObject *value, void *closure)
{
    FIO_HOLD(self->loop);
    fio_handle_rare *rare = fio_handle_rare_of(self);
    if (rare == NULL) {
        return -1;
    }
    PyObject **slot = (PyObject **)((char *)rare + (Py_ssize_t)(intptr_t)closure);
    Py_XSETREF(*slot, value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

/* Of one that waits the place in the heap changes: there it has to be a number. */
static int
timer_handle_set_when(FioTimerHandle *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->base.loop);
    fio_handle_rare *rare = fio_handle_rare_of(&self->base);
    if (rare == NULL) {
        return -1;
    }
    double when = PyFloat_AsDouble(value);
    bool number = !(when == -1.0 && PyErr_Occurred());
    if (!number && self->timer.place != 0) {
        return -1;
    }
    PyErr_Clear();
    Py_XSETREF(rare->when_object, Py_NewRef(value));
    self->when = number ? when : self->when;
    return self->timer.place == 0
               ? 0
               : fio_timer_start(self->base.loop, &self->timer, fio_timer_nanoseconds(when));
}

static int
timer_handle_set_scheduled(FioTimerHandle *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->base.loop);
    fio_handle_rare *rare = fio_handle_rare_of(&self->base);
    if (rare == NULL) {
        return -1;
    }
    rare->scheduled_waits = self->timer.place != 0;
    Py_XSETREF(rare->scheduled, Py_NewRef(value));
    return 0;
}

PyObject *
fio_handle_args_tuple(PyObject *args)
{
    if (PyTuple_Check(args)) {
        return Py_NewRef(args);
    }
    PyObject *tuple = PySequence_Tuple(args);
    if (tuple == NULL && Py_TYPE(args)->tp_iter == NULL && !PySequence_Check(args)) {
        /* In the words of asyncio's call. */
        PyErr_Format(PyExc_TypeError, "Value after * must be an iterable, not %.200s",
                     Py_TYPE(args)->tp_name);
    }
    return tuple;
}

PyObject *
fio_handle_call_given(FioHandle *self)
{
    PyObject *args = Py_NewRef(self->rare->args);
    PyObject *callback = Py_NewRef(self->callback);
    PyObject *tuple = fio_handle_args_tuple(args);
    FIO_LET_GO(self->loop);
    PyObject *result = tuple == NULL ? NULL : PyObject_Call(callback, tuple, NULL);
    FIO_TAKE_BACK();
    Py_XDECREF(tuple);
    Py_DECREF(callback);
    Py_DECREF(args);
    return result;
}

/* -- the tables -----------------------------------------------------------------------------------
 */

static PyObject *
handle_attr_get(FioHandle *self, void *attr)
{
    FIO_HOLD(self->loop);
    return fio_attr_get((PyObject *)self, attr, self->rare == NULL ? NULL : self->rare->aside);
}

static int
handle_attr_set(FioHandle *self, PyObject *value, void *attr)
{
    FIO_HOLD(self->loop);
    fio_handle_rare *rare = fio_handle_rare_of(self);
    return rare == NULL ? -1 : fio_attr_set((PyObject *)self, attr, value, &rare->aside);
}

#define HANDLE_ATTRIBUTE(name, get, set, closure, traits)               \
    {name, (getter)handle_attr_get, (setter)handle_attr_set, NULL,      \
     FIO_UNCONST((&(const fio_attr){name, (getter)(get), (setter)(set), \
                                    (void *)(intptr_t)(closure), (traits) | FIO_ATTR_SLOT}))}
#define HANDLE_OBJECT(name, get, set) HANDLE_ATTRIBUTE(name, get, set, 0, 0)
#define HANDLE_RARE(name, get, member) \
    HANDLE_ATTRIBUTE(name, get, handle_set_rare, offsetof(fio_handle_rare, member), 0)

/* asyncio's private names: its own code and others' use them. */
#define HANDLE_GETSET                                                                 \
    HANDLE_OBJECT("_args", fio_handle_get_args, handle_set_args),                     \
        HANDLE_OBJECT("_callback", handle_get_callback, handle_set_callback),         \
        HANDLE_ATTRIBUTE("_cancelled", handle_get_cancelled, handle_set_cancelled, 0, \
                         FIO_ATTR_FLAG),                                              \
        HANDLE_OBJECT("_context", handle_get_context, handle_set_context),            \
        HANDLE_RARE("_loop", handle_get_loop, loop),                                  \
        HANDLE_RARE("_repr", handle_get_rare, repr_kept),                             \
        HANDLE_RARE("_source_traceback", handle_get_rare, source_traceback)

PyGetSetDef fio_handle_getset[] = {
    HANDLE_GETSET,
    {"__class__", (getter)handle_get_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyGetSetDef fio_timer_handle_getset[] = {
    HANDLE_GETSET,
    {"__class__", (getter)timer_handle_get_class, NULL, NULL, NULL},
    HANDLE_OBJECT("_scheduled", timer_handle_get_scheduled, timer_handle_set_scheduled),
    HANDLE_OBJECT("_when", timer_handle_get_when, timer_handle_set_when),
    {NULL, NULL, NULL, NULL, NULL},
};
