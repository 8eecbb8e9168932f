/* call_soon() and its family, create_future() and create_task(): the Loop type's methods that make
 * something run later, from their arguments to the queue it waits in. */

#include "loop/schedule.h"

#include "loop/overrides.h"
#include "loop/ready.h"
#include "loop/threads.h"
#include "loop/timer.h"

/* The method of that name by asyncio's own code. */
static PyObject *
schedule_inherited(FioLoop *self, PyObject *name, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    PyObject *method = PyObject_GetAttr(self->st->aio_BaseEventLoop, name);
    if (method == NULL) {
        return NULL;
    }
    PyObject *bound = PyMethod_New(method, (PyObject *)self);
    Py_DECREF(method);
    if (bound == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(bound, args, (size_t)nargs, kwnames);
    Py_DECREF(bound);
    return result;
}

/* -- callbacks ------------------------------------------------------------------------------------
 */

/* asyncio: base_events.call_soon in debug mode; the checks are its own methods. */
static int
schedule_check(FioLoop *self, PyObject *callback, const char *method, bool check_thread)
{
    PyObject *none = NULL;
    if (check_thread) {
        none = PyObject_CallMethod((PyObject *)self, "_check_thread", NULL);
        if (none == NULL) {
            return -1;
        }
        Py_DECREF(none);
    }
    none = PyObject_CallMethod((PyObject *)self, "_check_callback", "Os", callback, method);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* Of `name(leading..., callback, *args, context=None)`: `leading` arguments before the callback. */
typedef struct {
    const char *name;
    const char *leading; /* its name, or NULL: there is none */
} schedule_params;

static int
schedule_parse_keyword(fio_state *st, const schedule_params *params, PyObject *name,
                       PyObject *value, fio_call *call)
{
    if (name == st->str_context || PyUnicode_Compare(name, st->str_context) == 0) {
        call->context = value == Py_None ? NULL : value;
        return 0;
    }
    bool leading = params->leading != NULL
                   && PyUnicode_CompareWithASCIIString(name, params->leading) == 0;
    PyObject **given = leading ? &call->when : &call->callback;
    if (!leading && PyUnicode_CompareWithASCIIString(name, "callback") != 0) {
        return -1;
    }
    if (*given != NULL) {
        return -1;
    }
    *given = value;
    return 0;
}

static int
schedule_refuse(FioLoop *self, const schedule_params *params, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames)
{
    PyErr_Format(PyExc_TypeError, "%s(): wrong arguments", params->name);
    (void)fio_loop_refuse(self, params->name, args, nargs, kwnames);
    return -1;
}

static int
schedule_parse(FioLoop *self, const schedule_params *params, PyObject *const *args,
               Py_ssize_t nargs, PyObject *kwnames, fio_call *call)
{
    Py_ssize_t leading = params->leading != NULL;
    call->when = leading > 0 && nargs > 0 ? args[0] : NULL;
    call->callback = nargs > leading ? args[leading] : NULL;
    call->args = args + leading + 1;
    call->nargs = nargs > leading + 1 ? nargs - leading - 1 : 0;
    call->context = NULL;
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (schedule_parse_keyword(self->st, params, PyTuple_GET_ITEM(kwnames, i), args[nargs + i],
                                   call)
            < 0) {
            return schedule_refuse(self, params, args, nargs, kwnames);
        }
    }
    bool no_when = leading > 0 && call->when == NULL;
    if (FIO_UNLIKELY(no_when || call->callback == NULL)) {
        return schedule_refuse(self, params, args, nargs, kwnames);
    }
    return 0;
}

PyObject *
fio_schedule_call_soon(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const schedule_params params = {"call_soon", NULL};
    fio_call call;
    if (schedule_parse(self, &params, args, nargs, kwnames, &call) < 0
        || fio_loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && schedule_check(self, call.callback, params.name, true) < 0) {
        return NULL;
    }
    return fio_ready_call(self, &call);
}

PyObject *
fio_schedule_call_soon_threadsafe(FioLoop *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames)
{
    static const schedule_params params = {"call_soon_threadsafe", NULL};
    fio_call call;
    if (schedule_parse(self, &params, args, nargs, kwnames, &call) < 0
        || fio_loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && schedule_check(self, call.callback, params.name, false) < 0) {
        return NULL;
    }
    return fio_crossing_call(self, &call);
}

static PyObject *
schedule_timer(FioLoop *self, double when, PyObject *when_object, const fio_call *call)
{
    FioTimerHandle *timer = fio_timer_handle_new(self, call);
    if (timer == NULL) {
        return NULL;
    }
    if (!self->running) {
        fio_handle_track_idle(self, (PyObject *)timer);
    }
    timer->when = when;
    fio_handle_rare *rare = when_object == NULL ? NULL : fio_handle_rare_of(&timer->base);
    if (rare != NULL) {
        rare->when_object = Py_NewRef(when_object);
    }
    if ((rare == NULL && when_object != NULL)
        || fio_timer_start(self, &timer->timer, fio_timer_nanoseconds(when)) < 0) {
        Py_DECREF(timer);
        return NULL;
    }
    return Py_NewRef((PyObject *)timer); /* the heap has the other reference */
}

PyObject *
fio_schedule_call_at(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const schedule_params params = {"call_at", "when"};
    fio_call call;
    if (schedule_parse(self, &params, args, nargs, kwnames, &call) < 0) {
        return NULL;
    }
    if (call.when == Py_None) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    double when = PyFloat_AsDouble(call.when);
    if ((when == -1.0 && PyErr_Occurred()) || fio_loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && schedule_check(self, call.callback, params.name, true) < 0) {
        return NULL;
    }
    return schedule_timer(self, when, PyFloat_CheckExact(call.when) ? NULL : call.when, &call);
}

PyObject *
fio_schedule_call_later(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const schedule_params params = {"call_later", "delay"};
    fio_call call;
    if (schedule_parse(self, &params, args, nargs, kwnames, &call) < 0) {
        return NULL;
    }
    if (call.when == Py_None) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    bool number = PyFloat_Check(call.when) || PyLong_Check(call.when);
    if (fio_overrides_refresh(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->foreign_call_at || !number)) {
        return schedule_inherited(self, self->st->str_call_later, args, nargs, kwnames);
    }
    double delay = PyFloat_AsDouble(call.when);
    if ((delay == -1.0 && PyErr_Occurred()) || fio_loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && schedule_check(self, call.callback, "call_at", true) < 0) {
        return NULL;
    }
    double now = fio_timer_clock_seconds(self);
    if (now == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return schedule_timer(self, now + delay, NULL, &call);
}

/* -- futures and tasks ----------------------------------------------------------------------------
 */

PyObject *
fio_schedule_create_future(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *args[2] = {NULL, (PyObject *)self};
    return PyObject_Vectorcall(self->st->aio_Future, args + 1, PY_VECTORCALL_ARGUMENTS_OFFSET,
                               self->kwnames_loop);
}

/* asyncio.tasks.Task(coro, loop=self, **keywords); looked up each time: programs replace it. */
static PyObject *
schedule_new_task(FioLoop *self, PyObject *const *args, PyObject *kwnames)
{
    Py_ssize_t nkw = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    PyObject *names = kwnames == NULL ? Py_NewRef(self->kwnames_loop)
                                      : PySequence_Concat(self->kwnames_loop, kwnames);
    PyObject *task_type = PyObject_GetAttr(self->st->aio_tasks, self->st->str_Task);
    PyObject *task = NULL;
    PyObject *small[8] = {NULL};
    PyObject **values = nkw <= 5 ? small : PyMem_New(PyObject *, (size_t)nkw + 3);
    if (names != NULL && task_type != NULL && values != NULL) {
        values[1] = args[0];
        values[2] = (PyObject *)self;
        for (Py_ssize_t i = 0; i < nkw; i++) {
            values[3 + i] = args[1 + i];
        }
        task = PyObject_Vectorcall(task_type, values + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                   names);
    }
    else if (values == NULL) {
        PyErr_NoMemory();
    }
    if (values != small) {
        PyMem_Free(values);
    }
    Py_XDECREF(task_type);
    Py_XDECREF(names);
    return task;
}

/* Whether they are those that create_task() has in all versions. */
static bool
schedule_knows_keywords(fio_state *st, PyObject *kwnames)
{
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        if (name != st->str_name && name != st->str_context) {
            return false;
        }
    }
    return true;
}

PyObject *
fio_schedule_create_task(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    /* Nothing is held: a task that is started eagerly takes its first step here. */
    if (FIO_LIKELY(self->task_factory == NULL && nargs == 1
                   && schedule_knows_keywords(self->st, kwnames))) {
        return fio_loop_check_closed(self) < 0 ? NULL : schedule_new_task(self, args, kwnames);
    }
    /* What a factory is called with differs between versions. */
    return schedule_inherited(self, self->st->str_create_task, args, nargs, kwnames);
}

PyObject *
fio_schedule_new_handle(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const schedule_params params = {"_new_handle", NULL};
    fio_call call;
    if (schedule_parse(self, &params, args, nargs, kwnames, &call) < 0) {
        return NULL;
    }
    PyObject *handle = fio_handle_new(self, &call);
    if (handle != NULL) {
        fio_handle_track(handle);
    }
    return handle;
}

PyObject *
fio_schedule_add_callback(FioLoop *self, PyObject *handle)
{
    FIO_HOLD(self);
    bool ours = Py_IS_TYPE(handle, self->st->HandleType)
                || Py_IS_TYPE(handle, self->st->TimerHandleType);
    int theirs = ours ? 0 : PyObject_IsInstance(handle, self->st->aio_Handle);
    if (!ours && theirs == 0) {
        PyErr_Format(PyExc_TypeError, "A Handle is required here, not %.200s",
                     Py_TYPE(handle)->tp_name);
    }
    if (!ours && theirs <= 0) {
        return NULL;
    }
    /* One that the program has made itself is run by one of ours. */
    PyObject *adopted = ours ? Py_NewRef(handle)
                             : PyObject_CallMethod((PyObject *)self, "_adopt", "O", handle);
    if (adopted == NULL) {
        return NULL;
    }
    if (((FioHandle *)adopted)->cancelled) {
        Py_DECREF(adopted);
    }
    else if (fio_ready_push(&self->ready, (uintptr_t)adopted) < 0) {
        Py_DECREF(adopted);
        return NULL;
    }
    Py_RETURN_NONE;
}
