/* The Loop type's face towards Python: method table, attributes, making and freeing. What is not
 * hot is inherited from asyncio.BaseEventLoop by the Python class on top (fastaio/loop.py). */

#include "base/args.h"
#include "loop/async.h"
#include "loop/poll.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/signal.h"
#include "loop/sock.h"
#include "loop/timer.h"

static PyObject *
loop_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) > 0 || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        PyErr_Format(PyExc_TypeError, "%.200s() takes no arguments", type->tp_name);
        return NULL;
    }
    FioLoop *self = (FioLoop *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->st = fio_state_of_type(type);
    self->closed = true; /* until fio_loop_open() */
    self->kwnames_loop = Py_BuildValue("(O)", self->st->str_loop);
    if (self->kwnames_loop == NULL || fio_loop_open(self) < 0 || fio_timer_check_clock(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
loop_traverse(FioLoop *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->fatal);
    Py_VISIT(self->task_factory);
    Py_VISIT(self->current_handle);
    int result = fio_ready_traverse(self, visit, arg);
    if (result == 0) {
        result = fio_timers_traverse(self, visit, arg);
    }
    if (result == 0) {
        result = fio_poll_traverse(self, visit, arg);
    }
    return result != 0 ? result : fio_crossing_traverse(self, visit, arg);
}

static int
loop_clear(FioLoop *self)
{
    Py_CLEAR(self->fatal);
    Py_CLEAR(self->task_factory);
    Py_CLEAR(self->current_handle);
    Py_CLEAR(self->kwnames_loop);
    fio_ready_clear(self);
    fio_timers_free(self);
    return 0;
}

static void
loop_dealloc(FioLoop *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fio_loop_shut(self);
    (void)loop_clear(self);
    fio_crossing_free(self);
    fio_handle_pool_free(self->pool);
    PyMem_Free(self->ready.items);
    PyMem_Free(self->slab);
    type->tp_free(self);
    Py_DECREF(type);
}

/* -- running --------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(loop_run_doc, "_run($self, /)\n"
                           "--\n\n"
                           "Take turns until stop(): the inside of run_forever().");

static PyObject *
loop_run(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (fio_loop_run(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_stop_doc, "stop($self, /)\n"
                            "--\n\n"
                            "Have run_forever() return after this turn.");

static PyObject *
loop_stop(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    self->stopping = true;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_close_doc,
             "close($self, /)\n"
             "--\n\n"
             "Drop all callbacks and close all that is open on the loop; idempotent.\n\n"
             "Raises RuntimeError while the loop runs.");

static PyObject *
loop_close(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (self->thread_id != 0) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    fio_loop_shut(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_is_running_doc, "is_running($self, /)\n"
                                  "--\n\n"
                                  "True while run_forever() is on its way.");

static PyObject *
loop_is_running(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(self->thread_id != 0);
}

PyDoc_STRVAR(loop_is_closed_doc, "is_closed($self, /)\n"
                                 "--\n\n"
                                 "True once close() was called.");

static PyObject *
loop_is_closed(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(self->closed);
}

PyDoc_STRVAR(loop_get_debug_doc, "get_debug($self, /)\n"
                                 "--\n\n"
                                 "True in debug mode.");

static PyObject *
loop_get_debug(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(self->debug);
}

static int
loop_check_closed(FioLoop *self)
{
    if (FIO_UNLIKELY(self->closed)) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(loop_check_closed_doc, "_check_closed($self, /)\n"
                                    "--\n\n"
                                    "Raise RuntimeError on a closed loop.");

static PyObject *
loop_check_closed_method(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (loop_check_closed(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- callbacks ------------------------------------------------------------------------------------
 */

/* asyncio: base_events.call_soon in debug mode; the checks are its own methods. */
static int
loop_check_call(FioLoop *self, PyObject *callback, const char *method, bool check_thread)
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
} loop_call_params;

static int
loop_parse_call_keyword(fio_state *st, const loop_call_params *params, PyObject *name,
                        PyObject *value, fio_call *call)
{
    if (name == st->str_context || PyUnicode_Compare(name, st->str_context) == 0) {
        call->context = value == Py_None ? NULL : value;
        return 0;
    }
    if (call->callback == NULL && PyUnicode_CompareWithASCIIString(name, "callback") == 0) {
        call->callback = value;
        return 0;
    }
    if (params->leading != NULL && call->when == NULL
        && PyUnicode_CompareWithASCIIString(name, params->leading) == 0) {
        call->when = value;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", params->name,
                 name);
    return -1;
}

static int
loop_parse_call(FioLoop *self, const loop_call_params *params, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames, fio_call *call)
{
    Py_ssize_t leading = params->leading != NULL;
    call->when = leading > 0 && nargs > 0 ? args[0] : NULL;
    call->callback = nargs > leading ? args[leading] : NULL;
    call->args = args + leading + 1;
    call->nargs = nargs > leading + 1 ? nargs - leading - 1 : 0;
    call->context = NULL;
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (loop_parse_call_keyword(self->st, params, PyTuple_GET_ITEM(kwnames, i), args[nargs + i],
                                    call)
            < 0) {
            return -1;
        }
    }
    bool no_when = leading > 0 && call->when == NULL;
    if (FIO_UNLIKELY(no_when || call->callback == NULL)) {
        PyErr_Format(PyExc_TypeError, "%s() missing required positional argument: '%s'",
                     params->name, no_when ? params->leading : "callback");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(loop_call_soon_doc,
             "call_soon($self, callback, *args, context=None)\n"
             "--\n\n"
             "Call callback(*args) in the next turn; returns an asyncio.Handle.\n\n"
             "Callbacks run in the order they were given, each once, in context (a\n"
             "contextvars.Context; None: a copy of the current one). Raises RuntimeError on a\n"
             "closed loop, in debug mode also from another thread.");

static PyObject *
loop_call_soon(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const loop_call_params params = {"call_soon", NULL};
    fio_call call;
    if (loop_parse_call(self, &params, args, nargs, kwnames, &call) < 0
        || loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && loop_check_call(self, call.callback, params.name, true) < 0) {
        return NULL;
    }
    return fio_ready_call(self, &call);
}

PyDoc_STRVAR(loop_call_soon_threadsafe_doc,
             "call_soon_threadsafe($self, callback, *args, context=None)\n"
             "--\n\n"
             "call_soon() from any thread or signal handler: wakes the loop.");

static PyObject *
loop_call_soon_threadsafe(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const loop_call_params params = {"call_soon_threadsafe", NULL};
    fio_call call;
    if (loop_parse_call(self, &params, args, nargs, kwnames, &call) < 0
        || loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && loop_check_call(self, call.callback, params.name, false) < 0) {
        return NULL;
    }
    return fio_crossing_call(self, &call);
}

PyDoc_STRVAR(loop_time_doc, "time($self, /)\n"
                            "--\n\n"
                            "Seconds of the monotonic clock, read now (a float).");

static PyObject *
loop_add_timer(FioLoop *self, double when, PyObject *when_object, const fio_call *call)
{
    FioTimerHandle *timer = fio_timer_handle_new(self, call);
    if (timer == NULL) {
        return NULL;
    }
    timer->when = when;
    timer->when_object = Py_XNewRef(when_object);
    if (fio_timer_start(self, &timer->timer, fio_timer_nanoseconds(when)) < 0) {
        Py_DECREF(timer);
        return NULL;
    }
    timer->scheduled = true;
    return Py_NewRef((PyObject *)timer); /* the heap has the other reference */
}

PyDoc_STRVAR(loop_call_at_doc,
             "call_at($self, when, callback, *args, context=None)\n"
             "--\n\n"
             "Call callback(*args) at when, in seconds of time(); returns an asyncio.TimerHandle.");

static PyObject *
loop_call_at(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const loop_call_params params = {"call_at", "when"};
    fio_call call;
    if (loop_parse_call(self, &params, args, nargs, kwnames, &call) < 0) {
        return NULL;
    }
    if (call.when == Py_None) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    double when = PyFloat_AsDouble(call.when);
    if ((when == -1.0 && PyErr_Occurred()) || loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && loop_check_call(self, call.callback, params.name, true) < 0) {
        return NULL;
    }
    return loop_add_timer(self, when, PyFloat_CheckExact(call.when) ? NULL : call.when, &call);
}

PyDoc_STRVAR(loop_call_later_doc,
             "call_later($self, delay, callback, *args, context=None)\n"
             "--\n\n"
             "Call callback(*args) after delay seconds; returns an asyncio.TimerHandle.");

static PyObject *
loop_call_later(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const loop_call_params params = {"call_later", "delay"};
    fio_call call;
    if (loop_parse_call(self, &params, args, nargs, kwnames, &call) < 0) {
        return NULL;
    }
    if (call.when == Py_None) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    double delay = PyFloat_AsDouble(call.when);
    if ((delay == -1.0 && PyErr_Occurred()) || loop_check_closed(self) < 0) {
        return NULL;
    }
    if (FIO_UNLIKELY(self->debug) && loop_check_call(self, call.callback, "call_at", true) < 0) {
        return NULL;
    }
    double now = fio_timer_clock_seconds(self);
    if (now == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return loop_add_timer(self, now + delay, NULL, &call);
}

/* -- futures and tasks ----------------------------------------------------------------------------
 */

PyDoc_STRVAR(loop_create_future_doc, "create_future($self, /)\n"
                                     "--\n\n"
                                     "A new asyncio.Future of this loop.");

static PyObject *
loop_create_future(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *args[2] = {NULL, (PyObject *)self};
    return PyObject_Vectorcall(self->st->aio_Future, args + 1, PY_VECTORCALL_ARGUMENTS_OFFSET,
                               self->kwnames_loop);
}

PyDoc_STRVAR(loop_create_task_doc,
             "create_task($self, coro, /, **kwargs)\n"
             "--\n\n"
             "Schedule a coroutine; returns an asyncio.Task, or what the task factory makes.\n\n"
             "Takes the keywords that asyncio's method of that name takes on this Python: name,\n"
             "context, later also eager_start.");

/* asyncio.tasks.Task(coro, loop=self, **keywords); looked up each time: programs replace it. */
static PyObject *
loop_new_task(FioLoop *self, PyObject *const *args, PyObject *kwnames)
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

static PyObject *
loop_create_task(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (FIO_LIKELY(self->task_factory == NULL && nargs == 1)) {
        return loop_check_closed(self) < 0 ? NULL : loop_new_task(self, args, kwnames);
    }
    /* What a factory is called with differs between versions: asyncio's own code does it. */
    PyObject *method = PyObject_GetAttr(self->st->aio_BaseEventLoop, self->st->str_create_task);
    if (method == NULL) {
        return NULL;
    }
    PyObject *bound = PyMethod_New(method, (PyObject *)self);
    Py_DECREF(method);
    if (bound == NULL) {
        return NULL;
    }
    PyObject *task = PyObject_Vectorcall(bound, args, (size_t)nargs, kwnames);
    Py_DECREF(bound);
    return task;
}

/* -- by hand --------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(loop_run_once_doc, "_run_once($self, /)\n"
                                "--\n\n"
                                "Take one turn.");

static PyObject *
loop_run_once(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (loop_check_closed(self) < 0 || fio_loop_turn(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_write_to_self_doc, "_write_to_self($self, /)\n"
                                     "--\n\n"
                                     "End a poll that waits; from any thread.");

static PyObject *
loop_write_to_self(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->closed) {
        fio_crossing_wake(self);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_new_handle_doc, "_new_handle($self, callback, /, *args, context=None)\n"
                                  "--\n\n"
                                  "A Handle that is not scheduled: _add_callback() takes it.");

static PyObject *
loop_new_handle(FioLoop *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const loop_call_params params = {"_new_handle", NULL};
    fio_call call;
    if (loop_parse_call(self, &params, args, nargs, kwnames, &call) < 0) {
        return NULL;
    }
    PyObject *handle = fio_handle_new(self, &call);
    if (handle != NULL) {
        fio_handle_track(handle);
    }
    return handle;
}

PyDoc_STRVAR(loop_add_callback_doc, "_add_callback($self, handle, /)\n"
                                    "--\n\n"
                                    "Put a Handle into the ready queue unless it is cancelled.");

static PyObject *
loop_add_callback(FioLoop *self, PyObject *handle)
{
    if (!Py_IS_TYPE(handle, self->st->HandleType)) {
        PyErr_Format(PyExc_TypeError, "handle must be a Handle of this loop, not %.200s",
                     Py_TYPE(handle)->tp_name);
        return NULL;
    }
    if (!((FioHandle *)handle)->cancelled) {
        if (fio_ready_push(&self->ready, (uintptr_t)Py_NewRef(handle)) < 0) {
            Py_DECREF(handle);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* -- attributes -----------------------------------------------------------------------------------
 */

static PyObject *
loop_get_thread_id(FioLoop *self, void *Py_UNUSED(closure))
{
    if (self->thread_id == 0) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(self->thread_id);
}

static int
loop_no_delete(PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the attribute cannot be deleted");
        return -1;
    }
    return 0;
}

static int
loop_set_thread_id(FioLoop *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (loop_no_delete(value) < 0) {
        return -1;
    }
    if (value == Py_None) {
        self->thread_id = 0;
        return 0;
    }
    unsigned long thread_id = PyLong_AsUnsignedLong(value);
    if (thread_id == (unsigned long)-1 && PyErr_Occurred()) {
        return -1;
    }
    self->thread_id = thread_id;
    return 0;
}

static PyObject *
loop_get_flag(FioLoop *self, void *closure)
{
    return PyBool_FromLong(*((bool *)self + (Py_ssize_t)(intptr_t)closure));
}

static int
loop_set_flag(FioLoop *self, PyObject *value, void *closure)
{
    if (loop_no_delete(value) < 0) {
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    *((bool *)self + (Py_ssize_t)(intptr_t)closure) = truth != 0;
    return 0;
}

static int
loop_set_closed(FioLoop *Py_UNUSED(self), PyObject *value, void *Py_UNUSED(closure))
{
    /* BaseEventLoop.__init__() says False; only close() closes. */
    return loop_no_delete(value);
}

static PyObject *
loop_get_object(FioLoop *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (Py_ssize_t)(intptr_t)closure);
    return Py_NewRef(value == NULL ? Py_None : value);
}

static int
loop_set_object(FioLoop *self, PyObject *value, void *closure)
{
    PyObject **slot = (PyObject **)((char *)self + (Py_ssize_t)(intptr_t)closure);
    Py_XSETREF(*slot, value == Py_None ? NULL : Py_XNewRef(value));
    return 0;
}

/* asyncio's queues of handles, as lists made for the reader. */
static PyObject *
loop_get_ready(FioLoop *self, void *Py_UNUSED(closure))
{
    return fio_ready_list(self);
}

static PyObject *
loop_get_scheduled(FioLoop *self, void *Py_UNUSED(closure))
{
    return fio_timers_list(self);
}

static int
loop_set_queue(FioLoop *Py_UNUSED(self), PyObject *value, void *Py_UNUSED(closure))
{
    /* BaseEventLoop.__init__() puts its empty ones here; anything else would be lost. */
    Py_ssize_t size = value == NULL ? -1 : PyObject_Size(value);
    if (size != 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_AttributeError, "the queues of this loop are not replaceable");
        }
        return -1;
    }
    return 0;
}

/* Somebody may put a clock of his own into the instance. */
static int
loop_setattro(FioLoop *self, PyObject *name, PyObject *value)
{
    if (PyObject_GenericSetAttr((PyObject *)self, name, value) < 0) {
        return -1;
    }
    if (PyUnicode_Compare(name, self->st->str_time) != 0) {
        return 0;
    }
    return fio_timer_check_clock(self);
}

#define LOOP_MEMBER(name) (void *)(intptr_t)offsetof(FioLoop, name)

/* asyncio's private names: BaseEventLoop's methods and other libraries use them. */
static PyGetSetDef loop_getset[] = {
    {"_closed", (getter)loop_get_flag, (setter)loop_set_closed, NULL, LOOP_MEMBER(closed)},
    {"_current_handle", (getter)loop_get_object, (setter)loop_set_object, NULL,
     LOOP_MEMBER(current_handle)},
    {"_debug", (getter)loop_get_flag, (setter)loop_set_flag, NULL, LOOP_MEMBER(debug)},
    {"_ready", (getter)loop_get_ready, (setter)loop_set_queue, NULL, NULL},
    {"_scheduled", (getter)loop_get_scheduled, (setter)loop_set_queue, NULL, NULL},
    {"_stopping", (getter)loop_get_flag, (setter)loop_set_flag, NULL, LOOP_MEMBER(stopping)},
    {"_task_factory", (getter)loop_get_object, (setter)loop_set_object, NULL,
     LOOP_MEMBER(task_factory)},
    {"_thread_id", (getter)loop_get_thread_id, (setter)loop_set_thread_id, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(loop_add_reader_doc,
             "add_reader($self, fd, callback, /, *args)\n"
             "--\n\n"
             "Call callback(*args) whenever fd (an int or an object with fileno()) can be read.\n\n"
             "Replaces the reader before. Raises ValueError for what is no descriptor,\n"
             "PermissionError for a regular file, RuntimeError where a transport uses it.");

PyDoc_STRVAR(loop_add_writer_doc,
             "add_writer($self, fd, callback, /, *args)\n"
             "--\n\n"
             "Call callback(*args) whenever fd can be written to; otherwise as add_reader().");

PyDoc_STRVAR(loop_remove_reader_doc, "remove_reader($self, fd, /)\n"
                                     "--\n\n"
                                     "End add_reader(); True if there was one.");

PyDoc_STRVAR(loop_remove_writer_doc, "remove_writer($self, fd, /)\n"
                                     "--\n\n"
                                     "End add_writer(); True if there was one.");

PyDoc_STRVAR(loop_ensure_fd_no_transport_doc,
             "_ensure_fd_no_transport($self, fd, /)\n"
             "--\n\n"
             "Raise RuntimeError where a transport of this loop uses fd.");

PyDoc_STRVAR(loop_sock_recv_doc, "sock_recv($self, sock, n)\n"
                                 "--\n\n"
                                 "Receive at most n bytes from a non-blocking socket; await it.\n\n"
                                 "b'' once the peer has closed. Raises OSError.");

PyDoc_STRVAR(loop_sock_recv_into_doc,
             "sock_recv_into($self, sock, buf)\n"
             "--\n\n"
             "Receive into a writable buffer; await it for the number of bytes.");

PyDoc_STRVAR(loop_sock_sendall_doc, "sock_sendall($self, sock, data)\n"
                                    "--\n\n"
                                    "Send all of a bytes-like object; await it.\n\n"
                                    "After an OSError it is not known how much was sent.");

PyDoc_STRVAR(loop_watched_doc, "_watched($self, fd, /)\n"
                               "--\n\n"
                               "What fd is watched for: 1 reading, 2 writing, 3 both, 0 neither.");

PyDoc_STRVAR(loop_signal_wakeup_fd_doc, "_signal_wakeup_fd($self, /)\n"
                                        "--\n\n"
                                        "The descriptor for signal.set_wakeup_fd().");

PyDoc_STRVAR(loop_signal_forward_doc, "_signal_forward($self, fd, /)\n"
                                      "--\n\n"
                                      "Write signal numbers to fd too; -1: to none.");

static PyMethodDef loop_methods[] = {
    {"_add_callback", (PyCFunction)loop_add_callback, METH_O, loop_add_callback_doc},
    {"_add_reader", FIO_METHOD(fio_poll_add_reader_unchecked), METH_FASTCALL, loop_add_reader_doc},
    {"_add_writer", FIO_METHOD(fio_poll_add_writer_unchecked), METH_FASTCALL, loop_add_writer_doc},
    {"_check_closed", (PyCFunction)loop_check_closed_method, METH_NOARGS, loop_check_closed_doc},
    {"_ensure_fd_no_transport", (PyCFunction)fio_poll_ensure_no_transport, METH_O,
     loop_ensure_fd_no_transport_doc},
    {"_new_handle", FIO_METHOD(loop_new_handle), METH_FASTCALL | METH_KEYWORDS,
     loop_new_handle_doc},
    {"_remove_reader", (PyCFunction)fio_poll_remove_reader_unchecked, METH_O,
     loop_remove_reader_doc},
    {"_remove_writer", (PyCFunction)fio_poll_remove_writer_unchecked, METH_O,
     loop_remove_writer_doc},
    {"_run", (PyCFunction)loop_run, METH_NOARGS, loop_run_doc},
    {"_run_once", (PyCFunction)loop_run_once, METH_NOARGS, loop_run_once_doc},
    {"_signal_forward", (PyCFunction)fio_signal_forward, METH_O, loop_signal_forward_doc},
    {"_signal_wakeup_fd", (PyCFunction)fio_signal_wakeup_fd, METH_NOARGS,
     loop_signal_wakeup_fd_doc},
    {"_watched", (PyCFunction)fio_poll_watched, METH_O, loop_watched_doc},
    {"_write_to_self", (PyCFunction)loop_write_to_self, METH_NOARGS, loop_write_to_self_doc},
    {"add_reader", FIO_METHOD(fio_poll_add_reader), METH_FASTCALL | METH_KEYWORDS,
     loop_add_reader_doc},
    {"add_writer", FIO_METHOD(fio_poll_add_writer), METH_FASTCALL | METH_KEYWORDS,
     loop_add_writer_doc},
    {"call_at", FIO_METHOD(loop_call_at), METH_FASTCALL | METH_KEYWORDS, loop_call_at_doc},
    {"call_later", FIO_METHOD(loop_call_later), METH_FASTCALL | METH_KEYWORDS, loop_call_later_doc},
    {"call_soon", FIO_METHOD(loop_call_soon), METH_FASTCALL | METH_KEYWORDS, loop_call_soon_doc},
    {"call_soon_threadsafe", FIO_METHOD(loop_call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     loop_call_soon_threadsafe_doc},
    {"close", (PyCFunction)loop_close, METH_NOARGS, loop_close_doc},
    {"create_future", (PyCFunction)loop_create_future, METH_NOARGS, loop_create_future_doc},
    {"create_task", FIO_METHOD(loop_create_task), METH_FASTCALL | METH_KEYWORDS,
     loop_create_task_doc},
    {"get_debug", (PyCFunction)loop_get_debug, METH_NOARGS, loop_get_debug_doc},
    {"is_closed", (PyCFunction)loop_is_closed, METH_NOARGS, loop_is_closed_doc},
    {"is_running", (PyCFunction)loop_is_running, METH_NOARGS, loop_is_running_doc},
    {"remove_reader", FIO_METHOD(fio_poll_remove_reader), METH_FASTCALL | METH_KEYWORDS,
     loop_remove_reader_doc},
    {"remove_writer", FIO_METHOD(fio_poll_remove_writer), METH_FASTCALL | METH_KEYWORDS,
     loop_remove_writer_doc},
    {"sock_recv", FIO_METHOD(fio_sock_recv), METH_FASTCALL | METH_KEYWORDS, loop_sock_recv_doc},
    {"sock_recv_into", FIO_METHOD(fio_sock_recv_into), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_recv_into_doc},
    {"sock_sendall", FIO_METHOD(fio_sock_sendall), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_sendall_doc},
    {"stop", (PyCFunction)loop_stop, METH_NOARGS, loop_stop_doc},
    {"time", (PyCFunction)fio_timer_time, METH_NOARGS, loop_time_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_new, loop_new},           {Py_tp_dealloc, loop_dealloc},
    {Py_tp_traverse, loop_traverse}, {Py_tp_setattro, loop_setattro},
    {Py_tp_clear, loop_clear},       {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_getset},     {0, NULL},
};

static PyType_Spec loop_spec = {
    .name = "fastaio._core.Loop",
    .basicsize = sizeof(FioLoop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = loop_slots,
};

int
fio_loop_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_callback_setup_types(module) < 0 || fio_sock_setup_types(module) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->LoopType, &loop_spec, NULL);
}
