/* Handle and TimerHandle: asyncio's two objects for a registered callback, with the arguments
 * inside the object and the objects themselves taken from a freelist of the loop. */

#include "loop/callback.h"

#include "base/gc.h"
#include "loop/handle_attrs.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/threads.h"
#include "loop/timer.h"

/* Handles kept for reuse: a burst of this many costs no allocation; 112 bytes each. */
#define HANDLE_POOL_SIZE 1024

/* Ends of handles inside of one another: some 200 bytes of stack each. */
#define HANDLE_ENDS 100

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
fio_handle_pool_free(FioLoop *loop)
{
    struct fio_handle_pool *pool = loop->pool;
    loop->pool = NULL;
    if (pool == NULL) {
        return;
    }
    while (pool->handle_count > 0) {
        fio_gc_del(loop->gc_head, pool->handles[--pool->handle_count]);
    }
    while (pool->timer_count > 0) {
        fio_gc_del(loop->gc_head, pool->timers[--pool->timer_count]);
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
    return (FioHandle *)fio_gc_new(loop->gc_head, type);
}

/* In a burst of tasks some begin to wait and others end. Counted, timers bring on the collector's
 * next short run; uncounted, the one set can make up for the other for so long that it then goes
 * over all of them at once. Outside of a run, where they are tracked, that would cost more than it
 * saves. */
static FioTimerHandle *
timer_handle_alloc(FioLoop *loop)
{
    PyTypeObject *type = loop->st->TimerHandleType;
    FioTimerHandle *self = NULL;
    bool counted = false;
    if (FIO_FREELISTS && loop->pool != NULL && loop->pool->timer_count > 0) {
        self = loop->pool->timers[--loop->pool->timer_count];
        (void)PyObject_Init((PyObject *)self, type);
    }
    else if (loop->running) {
        self = PyObject_GC_New(FioTimerHandle, type);
        counted = true;
    }
    else {
        self = (FioTimerHandle *)fio_gc_new(loop->gc_head, type);
    }
    if (self != NULL) {
        self->base.counted = counted;
    }
    return self;
}

fio_handle_rare *
fio_handle_rare_of(FioHandle *self)
{
    if (self->rare == NULL) {
        self->rare = PyMem_Calloc(1, sizeof(fio_handle_rare));
        if (self->rare == NULL) {
            PyErr_NoMemory();
        }
    }
    return self->rare;
}

static void
handle_drop_rare(FioHandle *self)
{
    fio_handle_rare *rare = self->rare;
    self->rare = NULL;
    if (FIO_UNLIKELY(rare != NULL)) {
        Py_XDECREF(rare->source_traceback);
        Py_XDECREF(rare->repr_kept);
        Py_XDECREF(rare->when_object);
        Py_XDECREF(rare->args);
        Py_XDECREF(rare->loop);
        Py_XDECREF(rare->scheduled);
        Py_XDECREF(rare->kept);
        Py_XDECREF(rare->aside);
        PyMem_Free(rare);
    }
}

/* Fills a fresh object in; on -1 it is complete enough to be deallocated. */
static int
handle_fill(FioHandle *self, FioLoop *loop, const fio_call *call)
{
    self->loop = (FioLoop *)Py_NewRef(loop);
    self->callback = Py_NewRef(call->callback);
    self->rare = NULL;
    self->weakrefs = NULL;
    self->waits_for = -1;
    self->nargs = 0;
    self->cancelled = false;
    atomic_init(&self->running, FIO_HANDLE_IDLE);
    self->threadsafe = false;
    self->shows_call = false;
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
        self->nargs = FIO_HANDLE_PACKED;
        for (Py_ssize_t i = 0; i < call->nargs; i++) {
            PyTuple_SET_ITEM(self->more_args, i, Py_NewRef(call->args[i]));
        }
    }
    if (FIO_UNLIKELY(loop->debug)) {
        fio_handle_rare *rare = fio_handle_rare_of(self);
        if (rare == NULL || (rare->source_traceback = fio_report_stack(loop)) == NULL) {
            return -1;
        }
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
    if (handle_fill(&self->base, loop, call) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (!FIO_FREELISTS) {
        PyObject_GC_Track((PyObject *)self);
    }
    return self;
}

int
fio_handle_traverse(FioHandle *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(fio_handle_more_args(self));
    for (int i = 0; i < fio_handle_inline_args(self); i++) {
        Py_VISIT(self->args[i]);
    }
    const fio_handle_rare *rare = self->rare;
    if (FIO_UNLIKELY(rare != NULL)) {
        Py_VISIT(rare->source_traceback);
        Py_VISIT(rare->repr_kept);
        Py_VISIT(rare->when_object);
        Py_VISIT(rare->loop);
        Py_VISIT(rare->scheduled);
        Py_VISIT(rare->kept);
        Py_VISIT(rare->aside);
    }
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
    return Py_REFCNT(handle) == 1 ? fio_handle_traverse((FioHandle *)handle, visit, arg) : 0;
}

void
fio_handle_track_idle(FioLoop *loop, PyObject *handle)
{
    if (!FIO_FREELISTS) {
        fio_handle_track(handle);
        return;
    }
    FioHandle *before = (FioHandle *)loop->latest;
    if (before != NULL && Py_REFCNT(before) == 1 && before->weakrefs == NULL) {
        PyObject_GC_UnTrack(before);
    }
    fio_handle_track(handle);
    loop->latest = handle;
}

/* Lets go of callback and arguments. */
static void
handle_drop_call(FioHandle *self)
{
    fio_handle_lock(self);
    PyObject *callback = self->callback;
    PyObject *more_args = fio_handle_more_args(self);
    PyObject *args[FIO_HANDLE_INLINE_ARGS];
    int nargs = fio_handle_inline_args(self);
    memcpy(args, self->args, sizeof(args));
    self->callback = NULL;
    if (FIO_UNLIKELY(self->nargs == FIO_HANDLE_GIVEN)) {
        self->rare->args = NULL;
    }
    self->nargs = 0;
    fio_handle_unlock(self);
    Py_XDECREF(callback);
    Py_XDECREF(more_args);
    while (nargs > 0) {
        Py_DECREF(args[--nargs]);
    }
}

int
fio_handle_clear(FioHandle *self)
{
    self->cancelled = true; /* should somebody find it again */
    handle_drop_call(self);
    PyObject *context = self->context;
    self->context = NULL;
    bool in_snapshot = self->in_snapshot;
    self->in_snapshot = false;
    if (context != NULL && in_snapshot) {
        fio_context_drop(&self->loop->snapshot, context);
    }
    else {
        Py_XDECREF(context);
    }
    handle_drop_rare(self);
    return 0;
}

/* A handle may be the argument of another, and so on: when so many ends are on the stack, the next
 * waits until they are through. False: it does, linked by what was its list of weak references. */
static bool
handle_begin_end(FioHandle *self)
{
    FioLoop *loop = self->loop;
    PyObject_GC_UnTrack(self);
    if (FIO_FREELISTS && FIO_UNLIKELY(loop->latest == (PyObject *)self)) {
        loop->latest = NULL;
    }
    if (FIO_UNLIKELY(self->weakrefs != NULL)) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    if (FIO_GIL && FIO_UNLIKELY(loop->ending >= HANDLE_ENDS)) {
        self->weakrefs = loop->to_end;
        loop->to_end = (PyObject *)self;
        return false;
    }
    loop->ending += FIO_GIL;
    (void)fio_handle_clear(self);
    loop->ending -= FIO_GIL;
    return true;
}

/* The memory is back: ends the handles that waited. */
static void
handle_finish_end(PyTypeObject *type, FioLoop *loop)
{
    if (FIO_UNLIKELY(loop->to_end != NULL) && loop->ending == 0 && !loop->ends_waiting) {
        loop->ends_waiting = true;
        while (loop->to_end != NULL) {
            FioHandle *next = (FioHandle *)loop->to_end;
            loop->to_end = next->weakrefs;
            next->weakrefs = NULL;
            Py_TYPE(next)->tp_dealloc((PyObject *)next);
        }
        loop->ends_waiting = false;
    }
    Py_DECREF(type);
    Py_DECREF(loop);
}

void
fio_handle_dealloc(FioHandle *self)
{
    PyTypeObject *type = Py_TYPE(self);
    FioLoop *loop = self->loop;
    FIO_TRASHCAN_BEGIN(self, fio_handle_dealloc)
    if (!handle_begin_end(self)) {
        return;
    }
    struct fio_handle_pool *pool = FIO_FREELISTS && !loop->closed ? handle_pool(loop) : NULL;
    if (pool != NULL && pool->handle_count < HANDLE_POOL_SIZE) {
        pool->handles[pool->handle_count++] = self;
    }
    else {
        fio_gc_del(loop->gc_head, self);
    }
    handle_finish_end(type, loop);
    FIO_TRASHCAN_END
}

void
fio_timer_handle_dealloc(FioTimerHandle *self)
{
    PyTypeObject *type = Py_TYPE(self);
    FioLoop *loop = self->base.loop;
    assert(self->timer.place == 0);
    FIO_TRASHCAN_BEGIN(self, fio_timer_handle_dealloc)
    if (!handle_begin_end(&self->base)) {
        return;
    }
    struct fio_handle_pool *pool = FIO_FREELISTS && !loop->closed ? handle_pool(loop) : NULL;
    if (pool != NULL && pool->timer_count < HANDLE_POOL_SIZE) {
        pool->timers[pool->timer_count++] = self;
    }
    else if (self->base.counted) {
        PyObject_GC_Del(self);
    }
    else {
        fio_gc_del(loop->gc_head, self);
    }
    handle_finish_end(type, loop);
    FIO_TRASHCAN_END
}

/* -- running --------------------------------------------------------------------------------------
 */

/* The same where other threads may meanwhile set its attributes, or call it, too: with references
 * and an array of its own. */
static PyObject *
handle_call_shared(FioHandle *self)
{
    PyObject *kept[FIO_HANDLE_INLINE_ARGS + 1] = {NULL};
    PyObject *callback = Py_NewRef(self->callback);
    PyObject *more_args = Py_XNewRef(fio_handle_more_args(self));
    int nargs = fio_handle_inline_args(self);
    for (int i = 0; i < nargs; i++) {
        kept[i + 1] = Py_NewRef(self->args[i]);
    }
    FIO_LET_GO(self->loop);
    PyObject *result = more_args != NULL
                           ? PyObject_Call(callback, more_args, NULL)
                           : PyObject_Vectorcall(callback, kept + 1,
                                                 (size_t)nargs | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                                 NULL);
    FIO_TAKE_BACK();
    while (nargs > 0) {
        Py_DECREF(kept[nargs--]);
    }
    Py_XDECREF(more_args);
    Py_DECREF(callback);
    return result;
}

static PyObject *
handle_call_more(FioHandle *self)
{
    if (self->nargs == FIO_HANDLE_GIVEN) {
        return fio_handle_call_given(self);
    }
    return FIO_GIL ? PyObject_Call(self->callback, self->more_args, NULL)
                   : handle_call_shared(self);
}

static PyObject *
handle_call(FioHandle *self)
{
    if (FIO_UNLIKELY(self->nargs > FIO_HANDLE_INLINE_ARGS)) {
        return handle_call_more(self);
    }
    return FIO_GIL ? PyObject_Vectorcall(self->callback, self->args,
                                         (size_t)self->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
                   : handle_call_shared(self);
}

/* Gives the handle a context of its own, as its users expect. */
int
fio_handle_own_context(FioHandle *self)
{
    if (self->in_snapshot) {
        if (fio_context_own(&self->loop->snapshot, &self->context) < 0) {
            return -1;
        }
        self->in_snapshot = false;
    }
    return 0;
}

/* asyncio takes anything with a method run(callback, *args) for a context. */
static PyObject *
handle_call_by_method(FioHandle *self, PyObject *context)
{
    PyObject *run = PyObject_GetAttrString(context, "run");
    PyObject *callback = Py_NewRef(self->callback);
    PyObject *given = run == NULL ? NULL : fio_handle_get_args(self, NULL);
    PyObject *args = given == NULL ? NULL : fio_handle_args_tuple(given);
    PyObject *all = args == NULL ? NULL : PyTuple_New(PyTuple_GET_SIZE(args) + 1);
    if (all != NULL) {
        PyTuple_SET_ITEM(all, 0, Py_NewRef(callback));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
            PyTuple_SET_ITEM(all, i + 1, Py_NewRef(PyTuple_GET_ITEM(args, i)));
        }
    }
    FIO_LET_GO(self->loop);
    PyObject *result = all == NULL ? NULL : PyObject_CallObject(run, all);
    FIO_TAKE_BACK();
    Py_XDECREF(all);
    Py_XDECREF(args);
    Py_XDECREF(given);
    Py_DECREF(callback);
    Py_XDECREF(run);
    return result;
}

/* handle_call() where the context cannot be entered: in a nested run it is entered already, and a
 * copy of it serves. */
static PyObject *
handle_call_in_copy(FioHandle *self)
{
    PyObject *context = Py_NewRef(self->context);
    PyObject *result = NULL;
    if (!PyContext_CheckExact(context)) {
        PyErr_Clear();
        result = handle_call_by_method(self, context);
        Py_DECREF(context);
        return result;
    }
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
    if (FIO_UNLIKELY(fio_handle_own_context(self) < 0)) {
        return NULL;
    }
    PyObject *context = self->context; /* kept, should the callback set another */
    if (FIO_UNLIKELY(PyContext_Enter(context) < 0)) {
        return handle_call_in_copy(self);
    }
    PyObject *result = handle_call(self);
    if (FIO_UNLIKELY(PyContext_Exit(context) < 0)) {
        Py_CLEAR(result);
    }
    return result;
}

/* False: another thread has cancelled it. */
static bool
handle_begin(FioHandle *self, fio_handle_run_state by)
{
    fio_handle_lock(self);
    bool runs = !self->cancelled;
    if (runs) {
        atomic_store_explicit(&self->running, (unsigned char)by, memory_order_relaxed);
    }
    fio_handle_unlock(self);
    return runs;
}

static void
handle_end(FioHandle *self, unsigned char outer)
{
    if ((FIO_THREADSAFE_HANDLES || !FIO_GIL) && FIO_UNLIKELY(self->threadsafe)) {
        atomic_store(&self->running, outer);
        fio_crossing_tell_waiting(self->loop);
    }
    else {
        atomic_store_explicit(&self->running, outer, memory_order_relaxed);
    }
    fio_handle_lock(self);
    bool cancelled = self->cancelled;
    fio_handle_unlock(self);
    if (FIO_UNLIKELY(cancelled && outer == FIO_HANDLE_IDLE)
        && (self->rare == NULL || !self->rare->keeps_call)) {
        handle_drop_call(self); /* what cancel() left to us */
    }
    if (FIO_UNLIKELY(self->rare != NULL) && outer == FIO_HANDLE_IDLE) {
        Py_CLEAR(self->rare->kept);
    }
}

void
fio_handle_run_once(FioHandle *self, fio_handle_run_state by)
{
    /* A nested run can come here again for a reader's handle. */
    unsigned char outer = atomic_load_explicit(&self->running, memory_order_relaxed);
    /* Who calls it by hand while it runs may be another thread, and not the last to end. */
    bool beside = !FIO_GIL && by == FIO_HANDLE_RUN_BY_HAND && outer != FIO_HANDLE_IDLE;
    if (!handle_begin(self, beside ? (fio_handle_run_state)outer : by)) {
        return;
    }
    PyObject *result = handle_call_in_context(self);
    if (FIO_UNLIKELY(result == NULL)) {
        fio_report_handle(self);
    }
    else {
        Py_DECREF(result);
    }
    if (!beside) {
        handle_end(self, outer);
    }
}

void
fio_handle_run(FioHandle *handle)
{
    if (FIO_LIKELY(!handle->cancelled)) {
        FioLoop *loop = handle->loop;
        if (FIO_UNLIKELY(loop->debug)) {
            fio_report_timing timing = fio_report_begin(handle);
            fio_handle_run_once(handle, FIO_HANDLE_RUN_BY_LOOP);
            fio_report_end(handle, &timing);
        }
        else {
            fio_handle_run_once(handle, FIO_HANDLE_RUN_BY_LOOP);
        }
    }
    fio_handle_release((PyObject *)handle); /* the ring's reference */
}

static void
handle_run_by_class(FioHandle *self)
{
    fio_state *st = self->loop->st;
    bool timed = Py_IS_TYPE(self, st->TimerHandleType);
    unsigned char outer = atomic_load_explicit(&self->running, memory_order_relaxed);
    if (!handle_begin(self, FIO_HANDLE_RUN_BY_LOOP)) {
        return;
    }
    FIO_LET_GO(self->loop);
    PyObject *none = PyObject_CallMethod(timed ? st->aio_TimerHandle : st->aio_Handle, "_run", "O",
                                         self);
    FIO_TAKE_BACK();
    if (none == NULL) {
        fio_report_fatal(self->loop);
    }
    Py_XDECREF(none);
    handle_end(self, outer);
}

void
fio_handle_run_foreign(FioHandle *handle)
{
    if (handle->loop->debug && !handle->cancelled) {
        fio_report_timing timing = fio_report_begin(handle);
        handle_run_by_class(handle);
        fio_report_end(handle, &timing);
    }
    else {
        handle_run_by_class(handle);
    }
    fio_handle_release((PyObject *)handle);
}

static void
timer_handle_fire(fio_timer *timer)
{
    /* As asyncio's: due callbacks queue up behind what is ready. The heap's reference passes to
     * the ring. */
    FioTimerHandle *self = FIO_CONTAINER_OF(timer, FioTimerHandle, timer);
    FioLoop *loop = self->base.loop;
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

/* -- cancelling -----------------------------------------------------------------------------------
 */

/* fio_handle_lock(), and on versions where it is so (asyncio: _ThreadSafeHandle) not before another
 * thread has run the callback to its end. */
static void
handle_lock_at_rest(FioHandle *self)
{
    FioLoop *loop = self->loop;
    fio_handle_lock(self);
    while (FIO_THREADSAFE_HANDLES && FIO_UNLIKELY(self->threadsafe)
           && atomic_load(&self->running) == FIO_HANDLE_RUN_BY_LOOP
           && loop->thread_id != PyThread_get_thread_ident()) {
        fio_handle_unlock(self);
        Py_BEGIN_ALLOW_THREADS fio_crossing_wait(loop, &self->running, FIO_HANDLE_RUN_BY_LOOP);
        Py_END_ALLOW_THREADS fio_handle_lock(self);
    }
}

static void
handle_set_shows_call(FioHandle *self, bool shows)
{
    fio_handle_lock(self);
    self->shows_call = shows;
    fio_handle_unlock(self);
}

int
fio_handle_cancel(FioHandle *self)
{
    handle_lock_at_rest(self);
    bool first = !self->cancelled;
    self->cancelled = true;
    fio_handle_unlock(self);
    if (!first) {
        return 0;
    }
    if (FIO_UNLIKELY(self->rare != NULL)) {
        self->rare->keeps_call = false;
    }
    if (self->loop->debug) {
        /* asyncio: Handle.cancel() keeps callback and arguments readable for the log. */
        handle_set_shows_call(self, true);
        PyObject *repr = PyObject_Repr((PyObject *)self);
        handle_set_shows_call(self, false);
        if (repr == NULL) {
            return -1;
        }
        fio_handle_rare *rare = fio_handle_rare_of(self);
        if (rare == NULL) {
            Py_DECREF(repr);
            return -1;
        }
        Py_XSETREF(rare->repr_kept, repr);
    }
    if (atomic_load_explicit(&self->running, memory_order_relaxed) == FIO_HANDLE_IDLE) {
        handle_drop_call(self);
    }
    return 0;
}

bool
fio_handle_is_cancelled(FioHandle *self)
{
    handle_lock_at_rest(self);
    bool cancelled = self->cancelled;
    fio_handle_unlock(self);
    return cancelled;
}
