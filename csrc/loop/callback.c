/* Handle and TimerHandle: asyncio's two objects for a registered callback, with the arguments
 * inside the object and the objects themselves taken from a freelist of the loop. What people
 * read (repr) is asyncio's own code, run on our attributes. */

#include "loop/callback.h"

#include "loop/async.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/timer.h"

/* Handles kept for reuse: a burst of this many costs no allocation; 128 bytes each. */
#define HANDLE_POOL_SIZE 1024

struct fio_handle_pool {
    FioHandle *handles[HANDLE_POOL_SIZE]; /* untracked, without references */
    FioTimerHandle *timers[HANDLE_POOL_SIZE];
    int handle_count;
    int timer_count;
};

/* -- making and freeing ---------------------------------------------------------------------------
 */

static struct fio_handle_pool *
handle_pool(FioLoop *loop)
{
    if (loop->pool == NULL) {
        /* Without memory for it there is no freelist, that is all. */
        loop->pool = PyMem_Calloc(1, sizeof(struct fio_handle_pool));
    }
    return loop->pool;
}

void
fio_handle_pool_free(struct fio_handle_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    while (pool->handle_count > 0) {
        PyObject_GC_Del(pool->handles[--pool->handle_count]);
    }
    while (pool->timer_count > 0) {
        PyObject_GC_Del(pool->timers[--pool->timer_count]);
    }
    PyMem_Free(pool);
}

static FioHandle *
handle_alloc(FioLoop *loop)
{
    PyTypeObject *type = loop->st->HandleType;
    if (FIO_FREELISTS && loop->pool != NULL && loop->pool->handle_count > 0) {
        FioHandle *self = loop->pool->handles[--loop->pool->handle_count];
        return (FioHandle *)PyObject_Init((PyObject *)self, type);
    }
    return PyObject_GC_New(FioHandle, type);
}

static FioTimerHandle *
timer_handle_alloc(FioLoop *loop)
{
    PyTypeObject *type = loop->st->TimerHandleType;
    if (FIO_FREELISTS && loop->pool != NULL && loop->pool->timer_count > 0) {
        FioTimerHandle *self = loop->pool->timers[--loop->pool->timer_count];
        return (FioTimerHandle *)PyObject_Init((PyObject *)self, type);
    }
    return PyObject_GC_New(FioTimerHandle, type);
}

/* Fills a fresh object in; on -1 it is complete enough to be deallocated. */
static int
handle_fill(FioHandle *self, FioLoop *loop, const fio_call *call)
{
    self->loop = (FioLoop *)Py_NewRef(loop);
    self->callback = Py_NewRef(call->callback);
    self->more_args = NULL;
    self->source_traceback = NULL;
    self->repr_kept = NULL;
    self->weakrefs = NULL;
    self->waits_for = -1;
    self->nargs = 0;
    self->cancelled = false;
    atomic_init(&self->running, FIO_HANDLE_IDLE);
    self->threadsafe = false;
    self->in_snapshot = call->context == NULL;
    self->context = self->in_snapshot ? fio_context_snapshot(loop->st, &loop->snapshot)
                                      : Py_NewRef(call->context);
    if (self->context == NULL) {
        return -1;
    }
    if (FIO_LIKELY(call->nargs <= FIO_HANDLE_INLINE_ARGS)) {
        for (Py_ssize_t i = 0; i < call->nargs; i++) {
            self->args[i] = Py_NewRef(call->args[i]);
        }
        self->nargs = (uint8_t)call->nargs;
    }
    else {
        self->more_args = PyTuple_New(call->nargs);
        if (self->more_args == NULL) {
            return -1;
        }
        for (Py_ssize_t i = 0; i < call->nargs; i++) {
            PyTuple_SET_ITEM(self->more_args, i, Py_NewRef(call->args[i]));
        }
    }
    if (FIO_UNLIKELY(loop->debug)) {
        self->source_traceback = fio_report_stack(loop);
        return self->source_traceback == NULL ? -1 : 0;
    }
    return 0;
}

PyObject *
fio_handle_new(FioLoop *loop, const fio_call *call)
{
    FioHandle *self = handle_alloc(loop);
    if (self == NULL) {
        return NULL;
    }
    if (handle_fill(self, loop, call) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (!FIO_FREELISTS) {
        PyObject_GC_Track((PyObject *)self);
    }
    return (PyObject *)self;
}

static void timer_handle_fire(fio_timer *timer);

FioTimerHandle *
fio_timer_handle_new(FioLoop *loop, const fio_call *call)
{
    FioTimerHandle *self = timer_handle_alloc(loop);
    if (self == NULL) {
        return NULL;
    }
    self->timer = (fio_timer){.fire = timer_handle_fire};
    self->when = 0.0;
    self->when_object = NULL;
    self->scheduled = false;
    if (handle_fill(&self->base, loop, call) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (!FIO_FREELISTS) {
        PyObject_GC_Track((PyObject *)self);
    }
    return self;
}

static int
handle_traverse(FioHandle *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->more_args);
    for (int i = 0; i < self->nargs; i++) {
        Py_VISIT(self->args[i]);
    }
    Py_VISIT(self->source_traceback);
    return 0;
}

int
fio_handle_visit(PyObject *handle, visitproc visit, void *arg)
{
    if (PyObject_GC_IsTracked(handle)) {
        Py_VISIT(handle);
        return 0;
    }
    /* Ours alone: what it refers to, the loop refers to. Where somebody else holds it too, that
     * may be from outside, and it keeps alive what it refers to. */
    return Py_REFCNT(handle) == 1 ? handle_traverse((FioHandle *)handle, visit, arg) : 0;
}

/* Where no GIL does it, the lock of the crossing keeps the threads apart that know of a handle of
 * call_soon_threadsafe(). No Python code runs under it. */
static inline void
handle_lock(FioHandle *self)
{
    if (!FIO_GIL && self->threadsafe) {
        fio_crossing_lock(self->loop);
    }
}

static inline void
handle_unlock(FioHandle *self)
{
    if (!FIO_GIL && self->threadsafe) {
        fio_crossing_unlock(self->loop);
    }
}

/* Lets go of callback and arguments. */
static void
handle_drop_call(FioHandle *self)
{
    handle_lock(self);
    PyObject *callback = self->callback;
    PyObject *more_args = self->more_args;
    PyObject *args[FIO_HANDLE_INLINE_ARGS];
    int nargs = self->nargs;
    memcpy(args, self->args, sizeof(args));
    self->callback = NULL;
    self->more_args = NULL;
    self->nargs = 0;
    handle_unlock(self);
    Py_XDECREF(callback);
    Py_XDECREF(more_args);
    while (nargs > 0) {
        Py_DECREF(args[--nargs]);
    }
}

static int
handle_clear(FioHandle *self)
{
    handle_drop_call(self);
    PyObject *context = self->context;
    self->context = NULL;
    if (context != NULL && self->in_snapshot) {
        fio_context_drop(&self->loop->snapshot, context);
    }
    else {
        Py_XDECREF(context);
    }
    Py_CLEAR(self->source_traceback);
    Py_CLEAR(self->repr_kept);
    return 0;
}

static void
handle_dealloc(FioHandle *self)
{
    PyTypeObject *type = Py_TYPE(self);
    FioLoop *loop = self->loop;
    PyObject_GC_UnTrack(self);
    if (FIO_UNLIKELY(self->weakrefs != NULL)) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)handle_clear(self);
    struct fio_handle_pool *pool = FIO_FREELISTS && !loop->closed ? handle_pool(loop) : NULL;
    if (pool != NULL && pool->handle_count < HANDLE_POOL_SIZE) {
        pool->handles[pool->handle_count++] = self;
    }
    else {
        type->tp_free(self);
    }
    Py_DECREF(type);
    Py_DECREF(loop);
}

static void
timer_handle_dealloc(FioTimerHandle *self)
{
    PyTypeObject *type = Py_TYPE(self);
    FioLoop *loop = self->base.loop;
    assert(self->timer.place == 0);
    PyObject_GC_UnTrack(self);
    if (FIO_UNLIKELY(self->base.weakrefs != NULL)) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)handle_clear(&self->base);
    Py_CLEAR(self->when_object);
    struct fio_handle_pool *pool = FIO_FREELISTS && !loop->closed ? handle_pool(loop) : NULL;
    if (pool != NULL && pool->timer_count < HANDLE_POOL_SIZE) {
        pool->timers[pool->timer_count++] = self;
    }
    else {
        type->tp_free(self);
    }
    Py_DECREF(type);
    Py_DECREF(loop);
}

/* -- running --------------------------------------------------------------------------------------
 */

static PyObject *
handle_call(FioHandle *self)
{
    if (self->more_args != NULL) {
        return PyObject_Call(self->callback, self->more_args, NULL);
    }
    return PyObject_Vectorcall(self->callback, self->args,
                               (size_t)self->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* Gives the handle a context of its own, as its users expect. */
static int
handle_own_context(FioHandle *self)
{
    if (self->in_snapshot) {
        if (fio_context_own(&self->loop->snapshot, &self->context) < 0) {
            return -1;
        }
        self->in_snapshot = false;
    }
    return 0;
}

/* handle_call() where the context is entered already: in a nested run, in a copy of it. */
static PyObject *
handle_call_in_copy(FioHandle *self)
{
    PyObject *context = Py_NewRef(self->context);
    PyObject *result = NULL;
    if (fio_loop_reenter_context(self->loop, &context) == 0) {
        result = handle_call(self);
        if (PyContext_Exit(context) < 0) {
            Py_CLEAR(result);
        }
    }
    Py_DECREF(context);
    return result;
}

/* context.run(callback, *args) */
static PyObject *
handle_call_in_context(FioHandle *self)
{
    if (FIO_UNLIKELY(handle_own_context(self) < 0)) {
        return NULL;
    }
    if (FIO_UNLIKELY(PyContext_Enter(self->context) < 0)) {
        return handle_call_in_copy(self);
    }
    PyObject *result = handle_call(self);
    if (FIO_UNLIKELY(PyContext_Exit(self->context) < 0)) {
        Py_CLEAR(result);
    }
    return result;
}

/* False: another thread has cancelled it. */
static bool
handle_begin(FioHandle *self, fio_handle_run_state by)
{
    handle_lock(self);
    bool runs = !self->cancelled;
    if (runs) {
        atomic_store_explicit(&self->running, (unsigned char)by, memory_order_relaxed);
    }
    handle_unlock(self);
    return runs;
}

static void
handle_end(FioHandle *self, unsigned char outer)
{
    if (FIO_UNLIKELY(self->threadsafe)) {
        atomic_store(&self->running, outer);
        fio_crossing_tell_waiting(self->loop);
    }
    else {
        atomic_store_explicit(&self->running, outer, memory_order_relaxed);
    }
    handle_lock(self);
    bool cancelled = self->cancelled;
    handle_unlock(self);
    if (FIO_UNLIKELY(cancelled && outer == FIO_HANDLE_IDLE)) {
        handle_drop_call(self); /* what cancel() left to us */
    }
}

static void
handle_run_once(FioHandle *self, fio_handle_run_state by)
{
    /* A nested run can come here again for a reader's handle. */
    unsigned char outer = atomic_load_explicit(&self->running, memory_order_relaxed);
    if (!handle_begin(self, by)) {
        return;
    }
    PyObject *result = handle_call_in_context(self);
    if (FIO_UNLIKELY(result == NULL)) {
        fio_report_handle(self);
    }
    else {
        Py_DECREF(result);
    }
    handle_end(self, outer);
}

void
fio_handle_run(FioHandle *handle)
{
    if (FIO_LIKELY(!handle->cancelled)) {
        FioLoop *loop = handle->loop;
        if (FIO_UNLIKELY(loop->debug)) {
            fio_report_timing timing = fio_report_begin(handle);
            handle_run_once(handle, FIO_HANDLE_RUN_BY_LOOP);
            fio_report_end(handle, &timing);
        }
        else {
            handle_run_once(handle, FIO_HANDLE_RUN_BY_LOOP);
        }
    }
    fio_handle_release((PyObject *)handle); /* the ring's reference */
}

static void
timer_handle_fire(fio_timer *timer)
{
    /* As asyncio's: due callbacks queue up behind what is ready. The heap's reference passes to
     * the ring. */
    FioTimerHandle *self = FIO_CONTAINER_OF(timer, FioTimerHandle, timer);
    FioLoop *loop = self->base.loop;
    self->scheduled = false;
    if (fio_ready_push(&loop->ready, (uintptr_t)self) < 0) {
        fio_report_handle(&self->base);
        fio_handle_release((PyObject *)self);
    }
}

PyObject *
fio_timer_handle_of(fio_timer *timer)
{
    if (timer->fire != timer_handle_fire) {
        return NULL;
    }
    return (PyObject *)FIO_CONTAINER_OF(timer, FioTimerHandle, timer);
}

/* -- methods --------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(handle_cancel_doc, "cancel($self, /)\n"
                                "--\n\n"
                                "Keep the callback from being called; does nothing once it was.");

/* handle_lock(), and on versions where it is so (asyncio: _ThreadSafeHandle) not before another
 * thread has run the callback to its end. */
static void
handle_lock_at_rest(FioHandle *self)
{
    FioLoop *loop = self->loop;
    handle_lock(self);
    while (FIO_THREADSAFE_HANDLES && FIO_UNLIKELY(self->threadsafe)
           && atomic_load(&self->running) == FIO_HANDLE_RUN_BY_LOOP
           && loop->thread_id != PyThread_get_thread_ident()) {
        handle_unlock(self);
        Py_BEGIN_ALLOW_THREADS fio_crossing_wait(loop, &self->running, FIO_HANDLE_RUN_BY_LOOP);
        Py_END_ALLOW_THREADS handle_lock(self);
    }
}

int
fio_handle_cancel(FioHandle *self)
{
    handle_lock_at_rest(self);
    bool first = !self->cancelled;
    self->cancelled = true;
    handle_unlock(self);
    if (!first) {
        return 0;
    }
    if (self->loop->debug) {
        /* asyncio: Handle.cancel() keeps callback and arguments readable for the log. */
        PyObject *repr = PyObject_Repr((PyObject *)self);
        if (repr == NULL) {
            return -1;
        }
        Py_XSETREF(self->repr_kept, repr);
    }
    if (atomic_load_explicit(&self->running, memory_order_relaxed) == FIO_HANDLE_IDLE) {
        handle_drop_call(self);
    }
    return 0;
}

static PyObject *
handle_cancel(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
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
    bool pending = self->timer.place != 0;
    fio_timer_stop(self->base.loop, &self->timer);
    self->scheduled = false;
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
    handle_lock_at_rest(self);
    bool cancelled = self->cancelled;
    handle_unlock(self);
    return PyBool_FromLong(cancelled);
}

PyDoc_STRVAR(handle_get_context_doc, "get_context($self, /)\n"
                                     "--\n\n"
                                     "The contextvars.Context the callback runs in.");

static PyObject *
handle_get_context(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    return handle_own_context(self) < 0 ? NULL : Py_NewRef(self->context);
}

PyDoc_STRVAR(handle_run_doc, "_run($self, /)\n"
                             "--\n\n"
                             "Call the callback now; what it raises is reported to the loop.");

static PyObject *
handle_run(FioHandle *self, PyObject *Py_UNUSED(ignored))
{
    FioLoop *loop = self->loop;
    if (self->cancelled) {
        PyErr_SetString(PyExc_TypeError, "the handle is cancelled: it has no callback");
        return NULL;
    }
    PyObject *fatal_before = loop->fatal;
    loop->fatal = NULL;
    handle_run_once(self, FIO_HANDLE_RUN_BY_HAND);
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
    if (self->repr_kept != NULL) {
        return Py_NewRef(self->repr_kept);
    }
    return PyObject_CallMethodOneArg(st->aio_Handle, st->str___repr__, (PyObject *)self);
}

PyDoc_STRVAR(timer_handle_when_doc, "when($self, /)\n"
                                    "--\n\n"
                                    "The time of the call, in seconds of loop.time().");

static PyObject *
timer_handle_when(FioTimerHandle *self, PyObject *Py_UNUSED(ignored))
{
    if (self->when_object != NULL) {
        return Py_NewRef(self->when_object);
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

/* -- attributes -----------------------------------------------------------------------------------
 */

/* While it runs, cancel() leaves callback and arguments in their place. */
static bool
handle_shows_call(FioHandle *self)
{
    return self->callback != NULL
           && (!self->cancelled || atomic_load(&self->running) == FIO_HANDLE_IDLE);
}

static PyObject *
handle_get_callback(FioHandle *self, void *Py_UNUSED(closure))
{
    handle_lock(self);
    PyObject *callback = Py_NewRef(handle_shows_call(self) ? self->callback : Py_None);
    handle_unlock(self);
    return callback;
}

static PyObject *
handle_get_args(FioHandle *self, void *Py_UNUSED(closure))
{
    PyObject *args[FIO_HANDLE_INLINE_ARGS];
    handle_lock(self);
    bool shown = handle_shows_call(self);
    PyObject *more_args = shown ? Py_XNewRef(self->more_args) : NULL;
    int nargs = shown ? self->nargs : 0;
    for (int i = 0; i < nargs; i++) {
        args[i] = Py_NewRef(self->args[i]);
    }
    handle_unlock(self);
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
handle_get_object(FioHandle *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (Py_ssize_t)(intptr_t)closure);
    return Py_NewRef(value == NULL ? Py_None : value);
}

static PyObject *
handle_get_private_context(FioHandle *self, void *Py_UNUSED(closure))
{
    return handle_get_context(self, NULL);
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
    return timer_handle_when(self, NULL);
}

static PyObject *
timer_handle_get_scheduled(FioTimerHandle *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->scheduled);
}

#define HANDLE_MEMBER(name) (void *)(intptr_t)offsetof(FioHandle, name)

/* asyncio's private names too: its own code and others' read them. */
#define HANDLE_GETSET                                                               \
    {"_args", (getter)handle_get_args, NULL, NULL, NULL},                           \
        {"_callback", (getter)handle_get_callback, NULL, NULL, NULL},               \
        {"_cancelled", (getter)handle_get_cancelled, NULL, NULL, NULL},             \
        {"_context", (getter)handle_get_private_context, NULL, NULL, NULL},         \
        {"_loop", (getter)handle_get_object, NULL, NULL, HANDLE_MEMBER(loop)},      \
        {"_repr", (getter)handle_get_object, NULL, NULL, HANDLE_MEMBER(repr_kept)}, \
    {                                                                               \
        "_source_traceback", (getter)handle_get_object, NULL, NULL,                 \
            HANDLE_MEMBER(source_traceback)                                         \
    }

static PyGetSetDef handle_getset[] = {
    HANDLE_GETSET,
    {"__class__", (getter)handle_get_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef timer_handle_getset[] = {
    HANDLE_GETSET,
    {"__class__", (getter)timer_handle_get_class, NULL, NULL, NULL},
    {"_scheduled", (getter)timer_handle_get_scheduled, NULL, NULL, NULL},
    {"_when", (getter)timer_handle_get_when, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define HANDLE_METHODS                                                                      \
    {"_run", (PyCFunction)handle_run, METH_NOARGS, handle_run_doc},                         \
        {"cancelled", (PyCFunction)handle_cancelled, METH_NOARGS, handle_cancelled_doc},    \
    {                                                                                       \
        "get_context", (PyCFunction)handle_get_context, METH_NOARGS, handle_get_context_doc \
    }

static PyMethodDef handle_methods[] = {
    HANDLE_METHODS,
    {"_repr_info", (PyCFunction)handle_repr_info, METH_NOARGS, handle_repr_info_doc},
    {"cancel", (PyCFunction)handle_cancel, METH_NOARGS, handle_cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef timer_handle_methods[] = {
    HANDLE_METHODS,
    {"_repr_info", (PyCFunction)timer_handle_repr_info, METH_NOARGS, handle_repr_info_doc},
    {"cancel", (PyCFunction)timer_handle_cancel, METH_NOARGS, timer_handle_cancel_doc},
    {"when", (PyCFunction)timer_handle_when, METH_NOARGS, timer_handle_when_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef handle_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioHandle, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_dealloc, handle_dealloc}, {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},     {Py_tp_repr, handle_repr},
    {Py_tp_methods, handle_methods}, {Py_tp_getset, handle_getset},
    {Py_tp_members, handle_members}, {0, NULL},
};

static PyType_Spec handle_spec = {
    .name = "fastaio._core.Handle",
    .basicsize = sizeof(FioHandle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = handle_slots,
};

static PyType_Slot timer_handle_slots[] = {
    {Py_tp_dealloc, timer_handle_dealloc},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_repr, handle_repr},
    {Py_tp_methods, timer_handle_methods},
    {Py_tp_getset, timer_handle_getset},
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
