/* Handle and TimerHandle as Python sees them: methods, attributes and types. What people read
 * (repr) is asyncio's own code, run on our attributes. */

#include "loop/handle_attrs.h"

#include "base/args.h"
#include "loop/report.h"
#include "loop/threads.h"

/* -- methods --------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(handle_cancel_doc, "cancel($self, /)\n"
                                "--\n\n"
                                "Keep the callback from being called; does nothing once it was.");

static PyObject *
handle_cancel(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->loop);
    if (fio_handle_cancel(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(timer_handle_cancel_doc,
             "cancel($self, /)\n"
             "--\n\n"
             "Keep the callback from being called; the timer is dropped at once.");

static PyObject *
timer_handle_cancel(FioTimerHandle *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->base.loop);
    bool pending = self->timer.place != 0;
    fio_timer_stop(self->base.loop, &self->timer);
    PyObject *none = handle_cancel(&self->base, NULL);
    if (pending) {
        fio_handle_release((PyObject *)self); /* the heap's; the caller still has one */
    }
    return none;
}

PyDoc_STRVAR(handle_cancelled_doc, "cancelled($self, /)\n"
                                   "--\n\n"
                                   "True once cancel() was called.");

static PyObject *
handle_cancelled(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    if (FIO_UNLIKELY(self->rare != NULL && self->rare->aside != NULL)) {
        return PyObject_GetAttrString((PyObject *)self, "_cancelled");
    }
    return PyBool_FromLong(fio_handle_is_cancelled(self));
}

PyDoc_STRVAR(handle_get_context_doc, "get_context($self, /)\n"
                                     "--\n\n"
                                     "The contextvars.Context the callback runs in.");

static PyObject *
handle_get_context(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->loop);
    if (fio_handle_own_context(self) < 0) {
        return NULL;
    }
    return Py_NewRef(self->context == NULL ? Py_None : self->context);
}

PyDoc_STRVAR(handle_run_doc, "_run($self, /)\n"
                             "--\n\n"
                             "Call the callback now; what it raises is reported to the loop.");

static PyObject *
handle_run(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->loop);
    FioLoop *loop = self->loop;
    if (self->cancelled) {
        /* asyncio's own code reports what is wrong with a callback and arguments of None. */
        return PyObject_CallMethod(loop->st->aio_Handle, "_run", "O", self);
    }
    PyObject *fatal_before = loop->fatal;
    loop->fatal = NULL;
    fio_handle_run_once(self, FIO_HANDLE_RUN_BY_HAND);
    PyObject *fatal = loop->fatal;
    loop->fatal = fatal_before;
    if (fatal != NULL) {
        PyErr_SetRaisedException(fatal);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(handle_repr_info_doc, "_repr_info($self, /)\n"
                                   "--\n\n"
                                   "The parts of repr(), as asyncio's class of that name has it.");

static PyObject *
handle_repr_info(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallMethodOneArg(self->loop->st->aio_Handle, self->loop->st->str__repr_info,
                                     (PyObject *)self);
}

static PyObject *
timer_handle_repr_info(FioTimerHandle *self, PyObject *Py_UNUSED(ignored))
{
    fio_state *st = self->base.loop->st;
    return PyObject_CallMethodOneArg(st->aio_TimerHandle, st->str__repr_info, (PyObject *)self);
}

static PyObject *
handle_repr(FioHandle *self)
{
    fio_state *st = self->loop->st;
    {
        FIO_HOLD(self->loop); /* not while the repr() of a callback runs */
        if (self->rare != NULL && self->rare->repr_kept != NULL) {
            return Py_NewRef(self->rare->repr_kept);
        }
    }
    return PyObject_CallMethodOneArg(st->aio_Handle, st->str___repr__, (PyObject *)self);
}

PyDoc_STRVAR(timer_handle_when_doc, "when($self, /)\n"
                                    "--\n\n"
                                    "The time of the call, in seconds of loop.time().");

static PyObject *
timer_handle_when(FioTimerHandle *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->base.loop);
    const fio_handle_rare *rare = self->base.rare;
    if (rare != NULL && rare->when_object != NULL) {
        return Py_NewRef(rare->when_object);
    }
    return PyFloat_FromDouble(self->when);
}

static Py_hash_t
timer_handle_hash(FioTimerHandle *self)
{
    PyObject *when = timer_handle_when(self, NULL);
    if (when == NULL) {
        return -1;
    }
    Py_hash_t hash = PyObject_Hash(when);
    Py_DECREF(when);
    return hash;
}

static PyObject *
timer_handle_compare(FioTimerHandle *self, PyObject *other, int op)
{
    static const char *const names[] = {"__lt__", "__le__", "__eq__", NULL, "__gt__", "__ge__"};
    if (op == Py_NE) {
        PyObject *equal = timer_handle_compare(self, other, Py_EQ);
        if (equal == NULL || equal == Py_NotImplemented) {
            return equal;
        }
        int truth = PyObject_IsTrue(equal);
        Py_DECREF(equal);
        return truth < 0 ? NULL : PyBool_FromLong(!truth);
    }
    /* asyncio's own comparison, which reads attributes of the two only. */
    return PyObject_CallMethod(self->base.loop->st->aio_TimerHandle, names[op], "OO", self, other);
}

static PyObject *
handle_refuse(FioHandle *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    fio_state *st = self->loop->st;
    PyObject *class = Py_IS_TYPE((PyObject *)self, st->TimerHandleType) ? st->aio_TimerHandle
                      : self->threadsafe                                ? st->aio_ThreadSafeHandle
                                                                        : st->aio_Handle;
    return fio_args_refuse(class, method, (PyObject *)self, args, nargs, kwnames);
}

static PyObject *
timer_handle_refuse(FioTimerHandle *self, const char *method, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames)
{
    return handle_refuse(&self->base, method, args, nargs, kwnames);
}

FIO_NO_ARGUMENTS(static, handle_cancel, FioHandle, handle_refuse, "cancel")
FIO_NO_ARGUMENTS(static, handle_cancelled, FioHandle, handle_refuse, "cancelled")
FIO_NO_ARGUMENTS(static, handle_get_context, FioHandle, handle_refuse, "get_context")
FIO_NO_ARGUMENTS(static, timer_handle_cancel, FioTimerHandle, timer_handle_refuse, "cancel")
FIO_NO_ARGUMENTS(static, timer_handle_when, FioTimerHandle, timer_handle_refuse, "when")

#define HANDLE_METHODS                                                                     \
    {"_run", (PyCFunction)handle_run, METH_NOARGS, handle_run_doc},                        \
        {"cancelled", FIO_METHOD(handle_cancelled_call), METH_FASTCALL | METH_KEYWORDS,    \
         handle_cancelled_doc},                                                            \
    {                                                                                      \
        "get_context", FIO_METHOD(handle_get_context_call), METH_FASTCALL | METH_KEYWORDS, \
            handle_get_context_doc                                                         \
    }

static PyMethodDef handle_methods[] = {
    HANDLE_METHODS,
    {"_repr_info", (PyCFunction)handle_repr_info, METH_NOARGS, handle_repr_info_doc},
    {"cancel", FIO_METHOD(handle_cancel_call), METH_FASTCALL | METH_KEYWORDS, handle_cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef timer_handle_methods[] = {
    HANDLE_METHODS,
    {"_repr_info", (PyCFunction)timer_handle_repr_info, METH_NOARGS, handle_repr_info_doc},
    {"cancel", FIO_METHOD(timer_handle_cancel_call), METH_FASTCALL | METH_KEYWORDS,
     timer_handle_cancel_doc},
    {"when", FIO_METHOD(timer_handle_when_call), METH_FASTCALL | METH_KEYWORDS,
     timer_handle_when_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef handle_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioHandle, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST(
         "A callback that a loop is to run: asyncio.Handle, made by the loop's methods only.")},
    {Py_tp_dealloc, fio_handle_dealloc},
    {Py_tp_traverse, fio_handle_traverse},
    {Py_tp_clear, fio_handle_clear},
    {Py_tp_repr, handle_repr},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, fio_handle_getset},
    {Py_tp_members, handle_members},
    {0, NULL},
};

static PyType_Spec handle_spec = {
    .name = "fastaio._core.Handle",
    .basicsize = sizeof(FioHandle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = handle_slots,
};

static PyType_Slot timer_handle_slots[] = {
    {Py_tp_doc, FIO_UNCONST("A callback that a loop is to run at a time: asyncio.TimerHandle, made "
                            "by the loop's methods only.")},
    {Py_tp_dealloc, fio_timer_handle_dealloc},
    {Py_tp_traverse, fio_handle_traverse},
    {Py_tp_clear, fio_handle_clear},
    {Py_tp_repr, handle_repr},
    {Py_tp_methods, timer_handle_methods},
    {Py_tp_getset, fio_timer_handle_getset},
    {Py_tp_members, handle_members},
    {Py_tp_hash, timer_handle_hash},
    {Py_tp_richcompare, timer_handle_compare},
    {0, NULL},
};

static PyType_Spec timer_handle_spec = {
    .name = "fastaio._core.TimerHandle",
    .basicsize = sizeof(FioTimerHandle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = timer_handle_slots,
};

int
fio_callback_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_state_add_type(module, &st->HandleType, &handle_spec, NULL) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->TimerHandleType, &timer_handle_spec, NULL);
}
