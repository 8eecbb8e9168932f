#ifndef FIO_LOOP_CALLBACK_H
#define FIO_LOOP_CALLBACK_H

/* Handle and TimerHandle, and how they are run. */

#include "loop/loop.h"

#include <stdatomic.h>

/* Arguments that fit in the handle itself; more are kept as a tuple. */
#define FIO_HANDLE_INLINE_ARGS 3
/* FioHandle.nargs where they do not fit, and where a program has set others (handle_attrs.c). */
#define FIO_HANDLE_PACKED UINT8_MAX
#define FIO_HANDLE_GIVEN (UINT8_MAX - 1)

/* What few handles have; all owned or NULL. */
typedef struct {
    PyObject *source_traceback; /* where it was made, in debug mode */
    PyObject *repr_kept;        /* what it was before cancel(), in debug mode */
    PyObject *when_object;      /* what call_at() was given where it was no float */
    /* Of attributes that were set (handle_attrs.c): */
    PyObject *args;       /* FIO_HANDLE_GIVEN: the arguments, whatever they are */
    PyObject *loop;       /* what `_loop` shows */
    PyObject *scheduled;  /* what `_scheduled` shows ... */
    PyObject *aside;      /* what fields do not tell (base/attr.h) */
    PyObject *kept;       /* a list: what a call that goes on was made with */
    bool scheduled_waits; /* ... as long as it is in the heap, or is not, as it was then */
    bool keeps_call;      /* cancelled by the attribute, which drops nothing */
} fio_handle_rare;

/* Bursts of them are held at once: what they cost is the memory they touch. */
typedef struct {
    PyObject_HEAD
    FioLoop *loop;       /* owned */
    PyObject *callback;  /* owned; NULL once cancelled */
    PyObject *context;   /* owned: a contextvars.Context */
    PyObject *more_args; /* if packed: owned tuple of all arguments; else vectorcall's args[-1] */
    PyObject *args[FIO_HANDLE_INLINE_ARGS]; /* owned; the first `nargs` unless packed */
    fio_handle_rare *rare;                  /* owned or NULL */
    PyObject *weakrefs;
    int waits_for; /* the descriptor a sock_ call is registered for */
    uint8_t nargs; /* arguments in args, or FIO_HANDLE_PACKED or _GIVEN */
    bool cancelled;
    atomic_uchar running; /* fio_handle_run_state */
    /* Context is the loop's snapshot, or was: not this handle's alone. */
    bool in_snapshot : 1;
    /* Other threads may cancel it: its flags change under crossing->lock. Set once. */
    bool threadsafe : 1;
    /* Though it is cancelled and runs: its last repr() is being made. */
    bool shows_call : 1;
    /* A TimerHandle the garbage collector has counted (base/gc.h). */
    bool counted : 1;
} FioHandle;

/* Callback and args are in use: cancel() leaves them to the end of the run. */
typedef enum {
    FIO_HANDLE_IDLE,
    FIO_HANDLE_RUN_BY_LOOP,
    FIO_HANDLE_RUN_BY_HAND, /* handle._run() */
} fio_handle_run_state;

typedef struct {
    FioHandle base;
    fio_timer timer; /* while in the heap, the heap owns one reference to this object */
    double when;     /* seconds of loop.time() */
} FioTimerHandle;

/* Arguments in handle->args. */
static inline int
fio_handle_inline_args(const FioHandle *handle)
{
    return handle->nargs > FIO_HANDLE_INLINE_ARGS ? 0 : handle->nargs;
}

/* Those that are elsewhere: borrowed, or NULL. */
static inline PyObject *
fio_handle_more_args(const FioHandle *handle)
{
    return handle->nargs <= FIO_HANDLE_INLINE_ARGS ? NULL
           : handle->nargs == FIO_HANDLE_PACKED    ? handle->more_args
                                                   : handle->rare->args;
}

/* What a callback registration was called with; all borrowed. */
typedef struct {
    PyObject *callback;
    PyObject *const *args;
    Py_ssize_t nargs;
    PyObject *context; /* NULL: a copy of the current one */
    PyObject *when;    /* what stands before the callback: a delay or a time; NULL: nothing */
} fio_call;

/* A new handle is not known to the garbage collector: while the loop owns it, the loop visits what
 * it refers to (fio_handle_visit), and most handles never outlive that. Whoever takes the loop's
 * reference away calls fio_handle_release(), which makes it known if others hold it too. */
FIO_MUST_CHECK PyObject *fio_handle_new(FioLoop *loop, const fio_call *call);
FIO_MUST_CHECK FioTimerHandle *fio_timer_handle_new(FioLoop *loop, const fio_call *call);

/* Makes a handle known to the garbage collector: it is kept elsewhere than in a queue. */
static inline void
fio_handle_track(PyObject *handle)
{
    if (!PyObject_GC_IsTracked(handle)) {
        PyObject_GC_Track(handle);
    }
}

/* The same for one in a queue when the loop ends a run: only a run keeps it alive for sure. */
static inline void
fio_handle_track_held(PyObject *handle)
{
    if (Py_REFCNT(handle) > 1) {
        fio_handle_track(handle);
    }
}

/* The same for a new one on its way to a queue of a loop that does not run, which nothing else may
 * keep alive. Only the caller can tell whether somebody will hold it, so the next one tells. */
void fio_handle_track_idle(FioLoop *loop, PyObject *handle);

/* Gives up the reference of a queue of the loop's. */
static inline void
fio_handle_release(FIO_STEALS PyObject *handle)
{
    if (FIO_UNLIKELY(Py_REFCNT(handle) > 1)) {
        FioLoop *loop = ((FioHandle *)handle)->loop;
        fio_handle_track(handle);
        if (FIO_FREELISTS && loop->latest == handle) {
            loop->latest = NULL; /* the next one would take it for the queue's */
        }
    }
    Py_DECREF(handle);
}

/* tp_traverse's part for a handle in a queue of the loop's. */
int fio_handle_visit(PyObject *handle, visitproc visit, void *arg);

/* Calls the callback in its context, reports what it raises, and gives up the reference. */
void fio_handle_run(FIO_STEALS FioHandle *handle);

/* The same by the _run() of asyncio's class, which a program has replaced; what that raises ends
 * the run. */
FIO_COLD void fio_handle_run_foreign(FIO_STEALS FioHandle *handle);

/* handle.cancel() of a Handle that is no TimerHandle; -1 with an exception set. */
FIO_MUST_CHECK int fio_handle_cancel(FioHandle *handle);

/* handle.cancelled() */
bool fio_handle_is_cancelled(FioHandle *handle);

/* The TimerHandle `timer` is part of, or NULL. */
FIO_BORROWED PyObject *fio_timer_handle_of(fio_timer *timer);

/* Lets go of the freelist. */
void fio_handle_pool_free(FioLoop *loop);

/* -- for the types (loop/py_callback.c) -----------------------------------------------------------
 */

/* handle->rare, made when asked for; NULL with MemoryError set. */
FIO_MUST_CHECK fio_handle_rare *fio_handle_rare_of(FioHandle *handle);

/* Gives the handle a context of its own, as its users expect. */
FIO_MUST_CHECK int fio_handle_own_context(FioHandle *handle);
/* Calls the callback in its context and reports what it raises. */
void fio_handle_run_once(FioHandle *handle, fio_handle_run_state by);
int fio_handle_traverse(FioHandle *handle, visitproc visit, void *arg);
int fio_handle_clear(FioHandle *handle);
void fio_handle_dealloc(FioHandle *handle);
void fio_timer_handle_dealloc(FioTimerHandle *handle);

FIO_MUST_CHECK int fio_callback_setup_types(PyObject *module);

#endif
