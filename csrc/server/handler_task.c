/* HandlerTask: the asyncio.Task that a handler finds itself in. A handler that never waits needs no
 * task, yet asyncio.current_task() must give one: a stand-in, an instance of this type that was
 * never initialised. Whatever is asked of it initialises it first. One that nobody asked anything
 * is used again for the next handler. */

#include "server/handler_task.h"

#include "server/dispatch.h"
#include "server/steps.h"

/* What a HandlerTask has behind the memory of asyncio.Task. */
typedef struct {
    fio_handling *handling; /* borrowed: while the first step runs, else NULL */
    FioSteps *steps;        /* borrowed: of the task, once it is real */
    bool real;              /* Task.__init__ was called */
} task_part;

static task_part *
part_of(const fio_state *st, PyObject *task)
{
    return (task_part *)((char *)task + ((PyTypeObject *)st->aio_Task)->tp_basicsize);
}

/* -- what asyncio takes for granted ---------------------------------------------------------------
 */

/* asyncio.Task.get_coro(task) and get_context(task), called on the class, do not come by here, and
 * in some versions do not look whether what they return is there. A stand-in has None in the place
 * of both, which are found in the first task that becomes real: the process's first handler has
 * one. */
static PyObject **
task_slot(PyObject *task, uint32_t offset)
{
    return (PyObject **)((char *)task + offset);
}

/* Where in a task that was just initialised the object is; 0 unless it is in one place. */
static uint32_t
task_find(const fio_state *st, PyObject *task, PyObject *object)
{
    const Py_ssize_t size = ((PyTypeObject *)st->aio_Task)->tp_basicsize;
    uint32_t found = 0;
    for (Py_ssize_t at = (Py_ssize_t)sizeof(PyObject); at + (Py_ssize_t)sizeof(PyObject *) <= size;
         at += (Py_ssize_t)sizeof(PyObject *)) {
        if (*task_slot(task, (uint32_t)at) == object) {
            if (found != 0) {
                return 0;
            }
            found = (uint32_t)at;
        }
    }
    return found;
}

static bool
task_slots_are_known(const fio_state *st)
{
    return FIO_LIKELY(st->task_coro != 0 && st->task_context != 0);
}

static void
task_fill_slots(const fio_state *st, PyObject *task)
{
    if (task_slots_are_known(st)) {
        *task_slot(task, st->task_coro) = Py_NewRef(Py_None);
        *task_slot(task, st->task_context) = Py_NewRef(Py_None);
    }
}

static void
task_empty_slots(const fio_state *st, PyObject *task)
{
    if (task_slots_are_known(st)) {
        Py_CLEAR(*task_slot(task, st->task_coro));
        Py_CLEAR(*task_slot(task, st->task_context));
    }
}

/* -- becoming a real task -------------------------------------------------------------------------
 */

static int
task_init(fio_state *st, PyObject *task, FioSteps *steps, FioServer *server, PyObject *context)
{
    task_part *part = part_of(st, task);
    PyObject *args = PyTuple_Pack(1, (PyObject *)steps);
    PyObject *kwargs = PyDict_New();
    int result = -1;
    if (args != NULL && kwargs != NULL && PyDict_SetItem(kwargs, st->str_loop, server->loop) == 0
        && PyDict_SetItem(kwargs, st->str_context, context) == 0) {
        result = 0;
    }
    if (!part->real) { /* else a finaliser that ran in an allocation asked something of it */
        part->real = true;
        part->steps = steps;
        if (result == 0) {
            task_empty_slots(st, task);
            result = ((PyTypeObject *)st->aio_Task)->tp_init(task, args, kwargs);
        }
        if (result == 0 && !task_slots_are_known(st)) {
            st->task_coro = task_find(st, task, (PyObject *)steps);
            st->task_context = task_find(st, task, context);
        }
        if (result < 0) {
            part->steps = NULL;
        }
        PyObject_GC_Track(task);
    }
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return result;
}

/* Makes a real task of a stand-in whose handler's first step runs now. */
static int
task_materialise(PyObject *task)
{
    fio_state *st = fio_state_of_type(Py_TYPE(task));
    task_part *part = part_of(st, task);
    if (part->real) { /* without a GIL other threads look at no more of it */
        return 0;
    }
    fio_handling *handling = part->handling;
    if (handling == NULL) {
        return 0;
    }
    FioSteps *steps = fio_steps_new(st, FIO_STEPS_FIRST, handling->coro);
    if (steps == NULL) {
        return -1;
    }
    FIO_SET_MONITOR(steps, handling->conn->server->loop);
    int result = task_init(st, task, steps, handling->conn->server, handling->context);
    Py_DECREF(steps);
    return result;
}

/* Task.__init__(), which task_init() calls, would exchange the coroutine that runs now. */
static int
task_refuse_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    PyErr_SetString(PyExc_RuntimeError, "the task of a handler cannot be initialised again");
    return -1;
}

static PyObject *
task_getattro(PyObject *self, PyObject *name)
{
    if (task_materialise(self) < 0) {
        return NULL;
    }
    return PyObject_GenericGetAttr(self, name);
}

static int
task_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    if (task_materialise(self) < 0) {
        return -1;
    }
    return PyObject_GenericSetAttr(self, name, value);
}

static Py_hash_t
task_hash(PyObject *self)
{
    return task_materialise(self) < 0 ? -1 : PyBaseObject_Type.tp_hash(self);
}

static PyObject *
task_richcompare(PyObject *self, PyObject *other, int op)
{
    if (task_materialise(self) < 0) {
        return NULL;
    }
    return PyBaseObject_Type.tp_richcompare(self, other, op);
}

static PyObject *
task_repr(PyObject *self)
{
    if (task_materialise(self) < 0) {
        return NULL;
    }
    return Py_TYPE(self)->tp_base->tp_repr(self);
}

static PyObject *
task_await(PyObject *self)
{
    if (task_materialise(self) < 0) {
        return NULL;
    }
    return Py_TYPE(self)->tp_base->tp_as_async->am_await(self);
}

static int
task_traverse(PyObject *self, visitproc visit, void *arg)
{
    PyTypeObject *base = Py_TYPE(self)->tp_base;
    /* A base that is a heap type itself visits the type of its instances. */
    if ((base->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) {
        Py_VISIT(Py_TYPE(self));
    }
    return base->tp_traverse(self, visit, arg);
}

static int
task_clear(PyObject *self)
{
    return Py_TYPE(self)->tp_base->tp_clear(self);
}

#if FIO_TASKS_END_TRACKED

static void
task_dealloc(PyObject *self)
{
    if (!PyObject_GC_IsTracked(self)) {
        PyObject_GC_Track(self); /* a stand-in, as any type made from Python would be */
    }
    if (PyObject_CallFinalizerFromDealloc(self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    Py_TYPE(self)->tp_base->tp_dealloc(self); /* and the reference to our type */
}

#endif

/* -- asyncio.current_task() -----------------------------------------------------------------------
 */

#if FIO_CURRENT_TASKS_DICT

/* Makes `task` the current one of `loop`; *previous is for current_task_restore(). */
static int
current_task_enter(fio_state *st, PyObject *loop, PyObject *task, PyObject **previous)
{
    if (PyDict_GetItemRef(st->aio_current_tasks, loop, previous) < 0) {
        return -1;
    }
    return PyDict_SetItem(st->aio_current_tasks, loop, task);
}

static int
current_task_restore(fio_state *st, PyObject *loop, PyObject *previous)
{
    if (previous == NULL) {
        return PyDict_DelItem(st->aio_current_tasks, loop);
    }
    return PyDict_SetItem(st->aio_current_tasks, loop, previous);
}

#else

static int
current_task_enter(fio_state *st, PyObject *loop, PyObject *task, PyObject **previous)
{
    *previous = PyObject_CallFunctionObjArgs(st->aio_current_tasks, loop, task, NULL);
    return *previous == NULL ? -1 : 0;
}

static int
current_task_restore(fio_state *st, PyObject *loop, PyObject *previous)
{
    PyObject *ours = PyObject_CallFunctionObjArgs(st->aio_current_tasks, loop, previous, NULL);
    Py_XDECREF(ours);
    return ours == NULL ? -1 : 0;
}

#endif

/* -- stand-ins ------------------------------------------------------------------------------------
 */

static PyObject *
stand_in_take(FioServer *server)
{
    PyObject *task = server->stand_in;
    if (task != NULL) {
        server->stand_in = NULL;
        return task;
    }
    PyTypeObject *type = server->st->HandlerTaskType;
    task = type->tp_alloc(type, 0);
    if (task != NULL) {
        /* An uninitialised task is nobody's business; task_init() shows it to the collector. */
        PyObject_GC_UnTrack(task);
        task_fill_slots(server->st, task);
    }
    return task;
}

/* True when nobody but the caller can know of `task`. */
static bool
stand_in_is_untouched(const fio_state *st, PyObject *task)
{
    PyObject **weakrefs = PyObject_GET_WEAKREFS_LISTPTR(task);
    return !part_of(st, task)->real && Py_REFCNT(task) == 1 && *weakrefs == NULL;
}

static void
stand_in_give(FioServer *server, FIO_STEALS PyObject *task)
{
    if (FIO_FREELISTS && server->stand_in == NULL) {
        server->stand_in = task;
    }
    else {
        Py_DECREF(task);
    }
}

/* -- the first step -------------------------------------------------------------------------------
 */

/* A failure that leaves no way to go on with the handler. */
static void
handler_give_up(FioServer *server, fio_handling *handling)
{
    PyObject *exc = PyErr_GetRaisedException();
    fio_server_log_exception(server, "Error handling request", exc);
    Py_DECREF(exc);
    if (handling->conn->request == handling->request) {
        fio_conn_fail(handling->conn);
    }
}

/* The handler waits for `yielded` (taken over): the task goes on with it. */
static void
handler_suspend(FioServer *server, fio_handling *handling, PyObject *task, PyObject *yielded)
{
    fio_state *st = server->st;
    task_part *part = part_of(st, task);
    part->handling = handling;
    if (fio_request_keep(handling->request) < 0 || task_materialise(task) < 0
        || part->steps == NULL) {
        part->handling = NULL;
        Py_DECREF(yielded);
        handler_give_up(server, handling);
        return;
    }
    part->handling = NULL;
    FioSteps *steps = part->steps;
    steps->handling = *handling;
    steps->handling.context = NULL;
    *handling = (fio_handling){0};
    if (yielded == Py_None) {
        steps->state = FIO_STEPS_YIELDED;
        Py_DECREF(yielded);
    }
    else {
        steps->state = FIO_STEPS_HELD;
        steps->awaited = yielded;
    }
}

/* The first step was the last: a task that somebody knows of ends as one. `exc` (taken over) is
 * what it ends with, or NULL. */
static void
handler_end(FioServer *server, fio_handling *handling, PyObject *task, PyObject *exc)
{
    fio_state *st = server->st;
    task_part *part = part_of(st, task);
    if (handling->conn->task == task) {
        Py_CLEAR(handling->conn->task);
    }
    if (exc == NULL && stand_in_is_untouched(st, task)) {
        part->handling = NULL;
        stand_in_give(server, Py_NewRef(task));
        return;
    }
    part->handling = handling;
    if (task_materialise(task) < 0) {
        PyErr_Clear(); /* no memory: whoever holds the stand-in keeps one that never ends */
    }
    part->handling = NULL;
    if (part->steps != NULL) {
        part->steps->state = FIO_STEPS_FINISHED;
        part->steps->error = exc;
        exc = NULL;
    }
    Py_XDECREF(exc);
}

/* Runs the first step with `task` as the current one. */
static PySendResult
handler_run_first(FioServer *server, fio_handling *handling, PyObject *task, PyObject **yielded)
{
    fio_state *st = server->st;
    PyObject *loop = server->loop;
    PyObject *previous = NULL;
    if (current_task_enter(st, loop, task, &previous) < 0) {
        return PYGEN_ERROR;
    }
    PySendResult sent = fio_handling_send(handling, Py_None, yielded);
    PyObject *exc = sent == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    if (current_task_restore(st, loop, previous) < 0) {
        PyErr_Clear(); /* somebody else took our entry away already */
    }
    Py_XDECREF(previous);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    return sent;
}

void
fio_handler_start(fio_handling *handling)
{
    FioServer *server = (FioServer *)Py_NewRef((PyObject *)handling->conn->server);
    PyObject *task = stand_in_take(server);
    if (task == NULL) {
        handler_give_up(server, handling);
        fio_handling_clear(handling);
        Py_DECREF(server);
        return;
    }
    task_part *part = part_of(server->st, task);
    part->handling = handling;
    /* Without a GIL other threads may ask something of it: of a real one they can. */
    if (!FIO_GIL && task_materialise(task) < 0) {
        part->handling = NULL;
        handler_give_up(server, handling);
        fio_handling_clear(handling);
        Py_DECREF(task);
        Py_DECREF(server);
        return;
    }
    Py_XSETREF(handling->conn->task, Py_NewRef(task));
    if (!task_slots_are_known(server->st) && task_materialise(task) < 0) {
        PyErr_Clear(); /* no memory: as if nobody had asked */
    }
    PyObject *yielded = NULL;
    PySendResult sent = handler_run_first(server, handling, task, &yielded);
    if (sent == PYGEN_NEXT) {
        handler_suspend(server, handling, task, yielded);
    }
    else {
        PyObject *exc = sent == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
        Py_XDECREF(yielded);
        handler_end(server, handling, task, exc);
    }
    fio_handling_clear(handling);
    Py_DECREF(task);
    Py_DECREF(server);
}

void
fio_handler_surface(fio_handling *handling)
{
    FioServer *server = (FioServer *)Py_NewRef((PyObject *)handling->conn->server);
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *task = stand_in_take(server);
    if (task == NULL) {
        PyErr_Clear();
        Py_DECREF(exc);
    }
    else {
        handler_end(server, handling, task, exc);
        Py_DECREF(task);
    }
    fio_handling_clear(handling);
    Py_DECREF(server);
}

/* -- the type -------------------------------------------------------------------------------------
 */

static PyType_Slot task_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The asyncio.Task that a handler runs in; only the server makes one.")},
    {Py_tp_traverse, task_traverse},
    {Py_tp_clear, task_clear},
    {Py_tp_getattro, task_getattro},
    {Py_tp_setattro, task_setattro},
    {Py_tp_hash, task_hash},
    {Py_tp_richcompare, task_richcompare},
    {Py_tp_repr, task_repr},
    {Py_tp_iter, task_await},
    {Py_am_await, task_await},
    {Py_tp_init, task_refuse_init},
#if FIO_TASKS_END_TRACKED
    {Py_tp_dealloc, task_dealloc},
#endif
    {0, NULL},
};

int
fio_handler_task_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    const Py_ssize_t base_size = ((PyTypeObject *)st->aio_Task)->tp_basicsize;
    /* Made here and not a constant: how big an asyncio.Task is, only the interpreter knows. */
    PyType_Spec spec = {
        .name = "fastaio._core.HandlerTask",
        .basicsize = (int)base_size + (int)sizeof(task_part),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
                 | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = task_slots,
    };
    return fio_state_add_type(module, &st->HandlerTaskType, &spec, st->aio_Task);
}
