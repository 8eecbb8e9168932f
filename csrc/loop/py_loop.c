/* The Loop type's face towards Python: method table, attributes, making and freeing. What is not
 * hot is inherited from asyncio.BaseEventLoop by the Python class on top (fastaio/loop.py). */

#include "base/args.h"
#include "base/attr.h"
#include "loop/executor.h"
#include "loop/fork.h"
#include "loop/metrics.h"
#include "loop/nested.h"
#include "loop/overrides.h"
#include "loop/readers.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/resolver.h"
#include "loop/schedule.h"
#include "loop/select.h"
#include "loop/signal.h"
#include "loop/sock.h"
#include "loop/threads.h"
#include "loop/timer.h"
#include "loop/watch.h"

PyObject *
fio_loop_refuse(FioLoop *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    return fio_args_refuse(self->st->aio_SelectorEventLoop, method, (PyObject *)self, args, nargs,
                           kwnames);
}

static PyObject *
loop_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    /* Those of a subclass are for its __init__(). */
    bool given = PyTuple_GET_SIZE(args) > 0 || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0);
    if (given && type->tp_init == PyBaseObject_Type.tp_init) {
        PyErr_Format(PyExc_TypeError, "%.200s() takes no arguments", type->tp_name);
        return NULL;
    }
    FioLoop *self = (FioLoop *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->st = fio_state_of_type(type);
    self->gc_head = self->st->gc_head;
    fio_list_init(&self->lookups);
    self->closed = true; /* until fio_loop_open() */
    self->kwnames_loop = Py_BuildValue("(O)", self->st->str_loop);
    if (self->kwnames_loop == NULL || fio_loop_open(self) < 0 || fio_overrides_look(self) < 0) {
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
    Py_VISIT(self->aside);
    Py_VISIT(self->current_handle);
    Py_VISIT(self->snapshot.context);
    int result = fio_ready_traverse(self, visit, arg);
    if (result == 0) {
        result = fio_timers_traverse(self, visit, arg);
    }
    if (result == 0) {
        result = fio_readers_traverse(self, visit, arg);
    }
    if (result == 0) {
        result = fio_watches_traverse(self, visit, arg);
    }
    if (result == 0) {
        result = fio_resolver_traverse(self, visit, arg);
    }
    return result != 0 ? result : fio_crossing_traverse(self, visit, arg);
}

static int
loop_clear(FioLoop *self)
{
    Py_CLEAR(self->fatal);
    Py_CLEAR(self->task_factory);
    Py_CLEAR(self->aside);
    Py_CLEAR(self->current_handle);
    Py_CLEAR(self->snapshot.context);
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
    Py_CLEAR(self->kwnames_loop);
    fio_crossing_free(self);
    fio_handle_pool_free(self);
    PyMem_Free(self->ready.items);
    PyMem_Free(self->slab);
    PyMem_Free(self->input);
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
    FIO_HOLD(self);
    if (fio_loop_check_closed(self) < 0 || fio_loop_run(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_stop_doc, "stop($self, /)\n"
                            "--\n\n"
                            "Have run_forever() return after this turn (asyncio.loop.stop).");

static PyObject *
loop_stop(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    self->stopping = true;
    self->stop_called = true;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(loop_close_doc,
             "close($self, /)\n"
             "--\n\n"
             "Drop all callbacks and close all that is open on the loop; idempotent.\n\n"
             "Raises RuntimeError while the loop runs.");

static PyObject *
loop_check_idle(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (self->thread_id != 0 || self->running || self->by_hand != 0) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
loop_close(FioLoop *self, PyObject *none)
{
    FIO_HOLD(self);
    PyObject *idle = loop_check_idle(self, none);
    if (idle != NULL) {
        fio_loop_shut(self);
    }
    return idle;
}

PyDoc_STRVAR(loop_is_running_doc,
             "is_running($self, /)\n"
             "--\n\n"
             "True while run_forever() is on its way (asyncio.loop.is_running).");

static PyObject *
loop_is_running(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(self->thread_id != 0);
}

PyDoc_STRVAR(loop_is_closed_doc, "is_closed($self, /)\n"
                                 "--\n\n"
                                 "True once close() was called (asyncio.loop.is_closed).");

static PyObject *
loop_is_closed(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (FIO_UNLIKELY(self->aside != NULL)) {
        return PyObject_GetAttrString((PyObject *)self, "_closed");
    }
    return PyBool_FromLong(self->closed);
}

PyDoc_STRVAR(loop_get_debug_doc, "get_debug($self, /)\n"
                                 "--\n\n"
                                 "True in debug mode.");

static PyObject *
loop_get_debug(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    if (FIO_UNLIKELY(self->aside != NULL)) {
        return PyObject_GetAttrString((PyObject *)self, "_debug");
    }
    return PyBool_FromLong(self->debug);
}

int
fio_loop_check_closed(FioLoop *self)
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
    if (fio_loop_check_closed(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- by hand --------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(loop_run_once_doc, "_run_once($self, /)\n"
                                "--\n\n"
                                "Take one turn.");

PyObject *
fio_loop_run_once(FioLoop *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self);
    if (fio_loop_check_closed(self) < 0 || fio_loop_turn(self) < 0) {
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
    /* As with `filled`: one of the two sees the other. */
    atomic_store(&self->crossing->written, true);
    fio_crossing_wake(self);
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
loop_set_thread_id(FioLoop *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    unsigned long thread_id = value == Py_None ? 0 : PyLong_AsUnsignedLong(value);
    if (thread_id == (unsigned long)-1 && PyErr_Occurred()) {
        return -1;
    }
    if (!self->running) { /* else another thread has come in, and it is not to know */
        self->thread_id = thread_id;
    }
    return 0;
}

static PyObject *
loop_get_flag(FioLoop *self, void *closure)
{
    return PyBool_FromLong(*((fio_flag *)self + (Py_ssize_t)(intptr_t)closure));
}

static int
loop_set_flag(FioLoop *self, PyObject *value, void *closure)
{
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    *((fio_flag *)self + (Py_ssize_t)(intptr_t)closure) = truth != 0;
    return 0;
}

static int
loop_set_closed(FioLoop *self, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    /* What is open on the loop stays so until its end; what close() has closed, for good. */
    if (truth > 0 ? !self->closed : self->closed_by_name) {
        self->closed = truth > 0;
        self->closed_by_name = truth > 0;
    }
    return 0;
}

static PyObject *
loop_get_object(FioLoop *self, void *closure)
{
    FIO_HOLD(self);
    PyObject *value = *(PyObject **)((char *)self + (Py_ssize_t)(intptr_t)closure);
    return Py_NewRef(value == NULL ? Py_None : value);
}

static int
loop_set_object(FioLoop *self, PyObject *value, void *closure)
{
    FIO_HOLD(self);
    PyObject **slot = (PyObject **)((char *)self + (Py_ssize_t)(intptr_t)closure);
    Py_XSETREF(*slot, value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

/* asyncio's queues of handles, as lists made for the reader. */
static PyObject *
loop_get_ready(FioLoop *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return fio_ready_list(self);
}

static PyObject *
loop_get_scheduled(FioLoop *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
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

/* Somebody may put a clock of his own into the instance, for example. */
static int
loop_setattro(FioLoop *self, PyObject *name, PyObject *value)
{
    FIO_HOLD(self);
    if (PyObject_GenericSetAttr((PyObject *)self, name, value) < 0) {
        return -1;
    }
    fio_state *st = self->st;
    self->has_selector |= PyUnicode_Compare(name, st->str__selector) == 0;
    PyObject *const replaceable[] = {st->str_time, st->str_call_at, st->str__run_once,
                                     st->str__selector, st->str___class__};
    for (size_t i = 0; i < sizeof(replaceable) / sizeof(replaceable[0]); i++) {
        if (PyUnicode_Compare(name, replaceable[i]) == 0) {
            return fio_overrides_look(self);
        }
    }
    return 0;
}

static PyObject *
loop_attr_get(FioLoop *self, void *attr)
{
    FIO_HOLD(self);
    return fio_attr_get((PyObject *)self, attr, self->aside);
}

static int
loop_attr_set(FioLoop *self, PyObject *value, void *attr)
{
    FIO_HOLD(self);
    return fio_attr_set((PyObject *)self, attr, value, &self->aside);
}

#define LOOP_ATTRIBUTE(name, get, set, closure, traits)                 \
    {name, (getter)loop_attr_get, (setter)loop_attr_set, NULL,          \
     FIO_UNCONST((&(const fio_attr){name, (getter)(get), (setter)(set), \
                                    (void *)(intptr_t)(closure), traits}))}
#define LOOP_FLAG(name, set, member) \
    LOOP_ATTRIBUTE(name, loop_get_flag, set, offsetof(FioLoop, member), FIO_ATTR_FLAG)
#define LOOP_OBJECT(name, member) \
    LOOP_ATTRIBUTE(name, loop_get_object, loop_set_object, offsetof(FioLoop, member), 0)

/* asyncio's private names: BaseEventLoop's methods and other libraries use them. */
static PyGetSetDef loop_getset[] = {
    LOOP_FLAG("_allows_nested", loop_set_flag, allows_nested),
    LOOP_FLAG("_closed", loop_set_closed, closed),
    LOOP_OBJECT("_current_handle", current_handle),
    LOOP_FLAG("_debug", loop_set_flag, debug),
    {"_ready", (getter)loop_get_ready, (setter)loop_set_queue, NULL, NULL},
    {"_scheduled", (getter)loop_get_scheduled, (setter)loop_set_queue, NULL, NULL},
    LOOP_FLAG("_stopping", loop_set_flag, stopping),
    LOOP_OBJECT("_task_factory", task_factory),
    LOOP_ATTRIBUTE("_thread_id", loop_get_thread_id, loop_set_thread_id, 0, 0),
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(loop_call_soon_doc,
             "call_soon($self, callback, *args, context=None)\n"
             "--\n\n"
             "Call callback(*args) in the next turn; returns an asyncio.Handle\n"
             "(asyncio.loop.call_soon).\n\n"
             "Callbacks run in the order they were given, each once, in context (a\n"
             "contextvars.Context; None: a copy of the current one). Raises RuntimeError on a\n"
             "closed loop, in debug mode also from another thread.");

PyDoc_STRVAR(loop_call_soon_threadsafe_doc,
             "call_soon_threadsafe($self, callback, *args, context=None)\n"
             "--\n\n"
             "call_soon() from any thread or signal handler: wakes the loop\n"
             "(asyncio.loop.call_soon_threadsafe). Raises RuntimeError on a closed loop.");

PyDoc_STRVAR(loop_call_at_doc,
             "call_at($self, when, callback, *args, context=None)\n"
             "--\n\n"
             "Call callback(*args) at when, in seconds of time(); returns an\n"
             "asyncio.TimerHandle (asyncio.loop.call_at).\n\n"
             "Raises TypeError for a when that is no number, RuntimeError as call_soon() does.");

PyDoc_STRVAR(loop_call_later_doc,
             "call_later($self, delay, callback, *args, context=None)\n"
             "--\n\n"
             "Call callback(*args) after delay seconds; returns an asyncio.TimerHandle\n"
             "(asyncio.loop.call_later).\n\n"
             "Raises TypeError for a delay that is no number, RuntimeError as call_soon() does.");

PyDoc_STRVAR(loop_create_future_doc,
             "create_future($self, /)\n"
             "--\n\n"
             "A new asyncio.Future of this loop (asyncio.loop.create_future).");

PyDoc_STRVAR(
    loop_create_task_doc,
    "create_task($self, coro, **kwargs)\n"
    "--\n\n"
    "Schedule a coroutine; returns an asyncio.Task, or what the task factory makes\n"
    "(asyncio.loop.create_task).\n\n"
    "Takes the keywords that asyncio's method takes on this Python: name, context, later\n"
    "also eager_start. Raises TypeError for what is no coroutine, RuntimeError on a closed\n"
    "loop.");

PyDoc_STRVAR(loop_new_handle_doc, "_new_handle($self, callback, /, *args, context=None)\n"
                                  "--\n\n"
                                  "A Handle that is not scheduled: _add_callback() takes it.");

PyDoc_STRVAR(loop_add_callback_doc, "_add_callback($self, handle, /)\n"
                                    "--\n\n"
                                    "Put a Handle into the ready queue unless it is cancelled.");

PyDoc_STRVAR(loop_time_doc,
             "time($self, /)\n"
             "--\n\n"
             "Seconds of the monotonic clock, read now, as a float (asyncio.loop.time).");

PyDoc_STRVAR(
    loop_add_reader_doc,
    "add_reader($self, fd, callback, *args)\n"
    "--\n\n"
    "Call callback(*args) whenever fd (an int or an object with fileno()) can be read\n"
    "(asyncio.loop.add_reader).\n\n"
    "Replaces the reader before. Raises ValueError for what is no descriptor, OSError for\n"
    "a closed one, PermissionError for a regular file, RuntimeError where a transport uses\n"
    "it or the loop is closed.");

PyDoc_STRVAR(loop_add_writer_doc,
             "add_writer($self, fd, callback, *args)\n"
             "--\n\n"
             "Call callback(*args) whenever fd can be written to; otherwise as add_reader()\n"
             "(asyncio.loop.add_writer).");

PyDoc_STRVAR(loop_remove_reader_doc,
             "remove_reader($self, fd)\n"
             "--\n\n"
             "End add_reader(); True if there was one (asyncio.loop.remove_reader).\n\n"
             "Raises ValueError and RuntimeError as add_reader() does; False on a closed loop.");

PyDoc_STRVAR(loop_remove_writer_doc,
             "remove_writer($self, fd)\n"
             "--\n\n"
             "End add_writer(); True if there was one (asyncio.loop.remove_writer).");

PyDoc_STRVAR(loop_ensure_fd_no_transport_doc,
             "_ensure_fd_no_transport($self, fd, /)\n"
             "--\n\n"
             "Raise RuntimeError where a transport of this loop uses fd.");

PyDoc_STRVAR(
    loop_sock_recv_doc,
    "sock_recv($self, sock, n)\n"
    "--\n\n"
    "Receive at most n bytes from a non-blocking socket; await it (asyncio.loop.sock_recv).\n\n"
    "b'' once the peer has closed. Raises OSError; in debug mode ValueError for a socket\n"
    "that blocks, as all sock_ methods do.");

PyDoc_STRVAR(loop_sock_recv_into_doc,
             "sock_recv_into($self, sock, buf)\n"
             "--\n\n"
             "Receive into a writable buffer; await it for the number of bytes\n"
             "(asyncio.loop.sock_recv_into). Raises OSError.");

PyDoc_STRVAR(loop_sock_recvfrom_doc,
             "sock_recvfrom($self, sock, bufsize)\n"
             "--\n\n"
             "Receive a datagram of at most bufsize bytes; await it for (bytes, address)\n"
             "(asyncio.loop.sock_recvfrom). Raises OSError.");

PyDoc_STRVAR(
    loop_sock_recvfrom_into_doc,
    "sock_recvfrom_into($self, sock, buf, nbytes=0)\n"
    "--\n\n"
    "Receive a datagram into a writable buffer; await it for (bytes received, address)\n"
    "(asyncio.loop.sock_recvfrom_into).\n\n"
    "At most nbytes of it, 0: as many as the buffer has items. Raises OSError, ValueError\n"
    "for more than the buffer has.");

PyDoc_STRVAR(loop_sock_sendto_doc,
             "sock_sendto($self, sock, data, address)\n"
             "--\n\n"
             "Send a bytes-like object as a datagram; await it for the number of bytes sent\n"
             "(asyncio.loop.sock_sendto). Raises OSError.");

PyDoc_STRVAR(loop_sock_accept_doc,
             "sock_accept($self, sock)\n"
             "--\n\n"
             "Accept a connection; await it for (a new non-blocking socket, the peer's address)\n"
             "(asyncio.loop.sock_accept). Raises OSError.");

PyDoc_STRVAR(loop_sock_connect_doc,
             "sock_connect($self, sock, address)\n"
             "--\n\n"
             "Connect a non-blocking socket; await it (asyncio.loop.sock_connect).\n\n"
             "A host name is looked up first, in the executor. Raises OSError.");

PyDoc_STRVAR(loop_sock_sendall_doc,
             "sock_sendall($self, sock, data)\n"
             "--\n\n"
             "Send all of a bytes-like object; await it (asyncio.loop.sock_sendall).\n\n"
             "Raises OSError, after which it is not known how much was sent.");

PyDoc_STRVAR(loop_poll_doc, "_poll($self, timeout, /)\n"
                            "--\n\n"
                            "Wait for files; [(fd, events)], for _found() to deal with.");

PyDoc_STRVAR(loop_found_doc, "_found($self, fd, events, /)\n"
                             "--\n\n"
                             "Do what has to be done for what _poll() has found.");

PyDoc_STRVAR(loop_watches_doc, "_watches($self, /)\n"
                               "--\n\n"
                               "The same of all that is watched, as a list.");

PyDoc_STRVAR(loop_watched_doc, "_watched($self, fd, /)\n"
                               "--\n\n"
                               "How fd is watched: (fd, events, file, reader, writer), or None.");

PyDoc_STRVAR(loop_signal_wakeup_fd_doc, "_signal_wakeup_fd($self, /)\n"
                                        "--\n\n"
                                        "The descriptor for signal.set_wakeup_fd().");

PyDoc_STRVAR(loop_run_nested_doc, "_run_nested($self, /)\n"
                                  "--\n\n"
                                  "Take turns inside a callback until the loop is stopped.\n\n"
                                  "True where stop() did it, False where _stopping was set.");

PyDoc_STRVAR(loop_metrics_doc, "_metrics($self, /)\n"
                               "--\n\n"
                               "The fields of fastaio.LoopMetrics; times in seconds.");

PyDoc_STRVAR(loop_before_fork_doc,
             "_before_fork($self, /)\n"
             "--\n\n"
             "Send what was gathered, where the calling thread runs the loop.");

PyDoc_STRVAR(loop_after_fork_doc,
             "_after_fork($self, /)\n"
             "--\n\n"
             "In a forked child: share no epoll set, wake-up or signal pipe with the parent.");

PyDoc_STRVAR(loop_signal_guard_doc, "_signal_guard($self, on, /)\n"
                                    "--\n\n"
                                    "Have signals ring the pipe while the loop waits only.\n\n"
                                    "False where this Python gives no way to do so.");

PyDoc_STRVAR(loop_signal_heed_doc, "_signal_heed($self, /)\n"
                                   "--\n\n"
                                   "Look for signals in every turn from now on.");

PyDoc_STRVAR(loop_chain_future_doc,
             "_chain_future($self, source, /)\n"
             "--\n\n"
             "A future that is done as the concurrent.futures.Future is; cancelled, it cancels "
             "that\n(asyncio: futures.wrap_future).");

PyDoc_STRVAR(
    loop_look_up_doc,
    "_look_up($self, host, port, family, type, proto, flags, /)\n"
    "--\n\n"
    "A future of what socket.getaddrinfo() returns; None where it has to be asked itself.");

PyDoc_STRVAR(loop_forget_look_up_doc,
             "_forget_look_up($self, future, /)\n"
             "--\n\n"
             "Do not ask what was not asked yet: nobody waits for that future.");

PyDoc_STRVAR(loop_check_idle_doc, "_check_idle($self, /)\n"
                                  "--\n\n"
                                  "RuntimeError where close() would be refused.");

FIO_NO_ARGUMENTS(static, loop_close, FioLoop, fio_loop_refuse, "close")
FIO_NO_ARGUMENTS(static, loop_get_debug, FioLoop, fio_loop_refuse, "get_debug")
FIO_NO_ARGUMENTS(static, loop_is_closed, FioLoop, fio_loop_refuse, "is_closed")
FIO_NO_ARGUMENTS(static, loop_is_running, FioLoop, fio_loop_refuse, "is_running")
FIO_NO_ARGUMENTS(static, loop_stop, FioLoop, fio_loop_refuse, "stop")
FIO_NO_ARGUMENTS(static, fio_schedule_create_future, FioLoop, fio_loop_refuse, "create_future")

static PyMethodDef loop_methods[] = {
    {"_add_callback", (PyCFunction)fio_schedule_add_callback, METH_O, loop_add_callback_doc},
    {"_add_reader", FIO_METHOD(fio_readers_add_reader_unchecked), METH_FASTCALL | METH_KEYWORDS,
     loop_add_reader_doc},
    {"_add_writer", FIO_METHOD(fio_readers_add_writer_unchecked), METH_FASTCALL | METH_KEYWORDS,
     loop_add_writer_doc},
    {"_after_fork", (PyCFunction)fio_fork_child, METH_NOARGS, loop_after_fork_doc},
    {"_before_fork", (PyCFunction)fio_fork_before, METH_NOARGS, loop_before_fork_doc},
    {"_chain_future", (PyCFunction)fio_executor_chain, METH_O, loop_chain_future_doc},
    {"_check_closed", (PyCFunction)loop_check_closed_method, METH_NOARGS, loop_check_closed_doc},
    {"_check_idle", (PyCFunction)loop_check_idle, METH_NOARGS, loop_check_idle_doc},
    {"_ensure_fd_no_transport", (PyCFunction)fio_readers_ensure_no_transport, METH_O,
     loop_ensure_fd_no_transport_doc},
    {"_forget_look_up", (PyCFunction)fio_resolver_forget, METH_O, loop_forget_look_up_doc},
    {"_found", FIO_METHOD(fio_select_found), METH_FASTCALL, loop_found_doc},
    {"_look_up", FIO_METHOD(fio_resolver_look_up), METH_FASTCALL, loop_look_up_doc},
    {"_metrics", (PyCFunction)fio_metrics_read, METH_NOARGS, loop_metrics_doc},
    {"_new_handle", FIO_METHOD(fio_schedule_new_handle), METH_FASTCALL | METH_KEYWORDS,
     loop_new_handle_doc},
    {"_poll", (PyCFunction)fio_select_poll, METH_O, loop_poll_doc},
    {"_ready_take", (PyCFunction)fio_ready_take, METH_O, NULL},
    {"_remove_reader", (PyCFunction)fio_readers_remove_reader_unchecked, METH_O,
     loop_remove_reader_doc},
    {"_remove_writer", (PyCFunction)fio_readers_remove_writer_unchecked, METH_O,
     loop_remove_writer_doc},
    {"_run", (PyCFunction)loop_run, METH_NOARGS, loop_run_doc},
    {"_run_nested", (PyCFunction)fio_nested_run, METH_NOARGS, loop_run_nested_doc},
    {"_run_once", (PyCFunction)fio_loop_run_once, METH_NOARGS, loop_run_once_doc},
    {"_scheduled_put", (PyCFunction)fio_timers_put, METH_O, NULL},
    {"_scheduled_take", (PyCFunction)fio_timers_take, METH_O, NULL},
    {"_signal_guard", (PyCFunction)fio_signal_guard, METH_O, loop_signal_guard_doc},
    {"_signal_heed", (PyCFunction)fio_signal_heed, METH_NOARGS, loop_signal_heed_doc},
    {"_signal_wakeup_fd", (PyCFunction)fio_signal_wakeup_fd, METH_NOARGS,
     loop_signal_wakeup_fd_doc},
    {"_watched", (PyCFunction)fio_readers_watched, METH_O, loop_watched_doc},
    {"_watches", (PyCFunction)fio_readers_watches, METH_NOARGS, loop_watches_doc},
    {"_write_to_self", (PyCFunction)loop_write_to_self, METH_NOARGS, loop_write_to_self_doc},
    {"add_reader", FIO_METHOD(fio_readers_add_reader), METH_FASTCALL | METH_KEYWORDS,
     loop_add_reader_doc},
    {"add_writer", FIO_METHOD(fio_readers_add_writer), METH_FASTCALL | METH_KEYWORDS,
     loop_add_writer_doc},
    {"call_at", FIO_METHOD(fio_schedule_call_at), METH_FASTCALL | METH_KEYWORDS, loop_call_at_doc},
    {"call_later", FIO_METHOD(fio_schedule_call_later), METH_FASTCALL | METH_KEYWORDS,
     loop_call_later_doc},
    {"call_soon", FIO_METHOD(fio_schedule_call_soon), METH_FASTCALL | METH_KEYWORDS,
     loop_call_soon_doc},
    {"call_soon_threadsafe", FIO_METHOD(fio_schedule_call_soon_threadsafe),
     METH_FASTCALL | METH_KEYWORDS, loop_call_soon_threadsafe_doc},
    {"close", FIO_METHOD(loop_close_call), METH_FASTCALL | METH_KEYWORDS, loop_close_doc},
    {"create_future", FIO_METHOD(fio_schedule_create_future_call), METH_FASTCALL | METH_KEYWORDS,
     loop_create_future_doc},
    {"create_task", FIO_METHOD(fio_schedule_create_task), METH_FASTCALL | METH_KEYWORDS,
     loop_create_task_doc},
    {"get_debug", FIO_METHOD(loop_get_debug_call), METH_FASTCALL | METH_KEYWORDS,
     loop_get_debug_doc},
    {"is_closed", FIO_METHOD(loop_is_closed_call), METH_FASTCALL | METH_KEYWORDS,
     loop_is_closed_doc},
    {"is_running", FIO_METHOD(loop_is_running_call), METH_FASTCALL | METH_KEYWORDS,
     loop_is_running_doc},
    {"remove_reader", FIO_METHOD(fio_readers_remove_reader), METH_FASTCALL | METH_KEYWORDS,
     loop_remove_reader_doc},
    {"remove_writer", FIO_METHOD(fio_readers_remove_writer), METH_FASTCALL | METH_KEYWORDS,
     loop_remove_writer_doc},
    {"sock_accept", FIO_METHOD(fio_sock_accept), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_accept_doc},
    {"sock_connect", FIO_METHOD(fio_sock_connect), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_connect_doc},
    {"sock_recv", FIO_METHOD(fio_sock_recv), METH_FASTCALL | METH_KEYWORDS, loop_sock_recv_doc},
    {"sock_recv_into", FIO_METHOD(fio_sock_recv_into), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_recv_into_doc},
    {"sock_recvfrom", FIO_METHOD(fio_sock_recvfrom), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_recvfrom_doc},
    {"sock_recvfrom_into", FIO_METHOD(fio_sock_recvfrom_into), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_recvfrom_into_doc},
    {"sock_sendall", FIO_METHOD(fio_sock_sendall), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_sendall_doc},
    {"sock_sendto", FIO_METHOD(fio_sock_sendto), METH_FASTCALL | METH_KEYWORDS,
     loop_sock_sendto_doc},
    {"stop", FIO_METHOD(loop_stop_call), METH_FASTCALL | METH_KEYWORDS, loop_stop_doc},
    {"time", FIO_METHOD(fio_timer_time_call), METH_FASTCALL | METH_KEYWORDS, loop_time_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST(
         "Loop()\n--\n\nThe event loop as far as it is in C; fastaio.Loop adds what runs seldom.")},
    {Py_tp_new, loop_new},
    {Py_tp_dealloc, loop_dealloc},
    {Py_tp_traverse, loop_traverse},
    {Py_tp_setattro, loop_setattro},
    {Py_tp_clear, loop_clear},
    {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_getset},
    {0, NULL},
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
    if (fio_clock_setup(st) < 0 || fio_callback_setup_types(module) < 0
        || fio_sock_setup_types(module) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->LoopType, &loop_spec, NULL);
}
