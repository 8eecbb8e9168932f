#ifndef FIO_BASE_AIO_H
#define FIO_BASE_AIO_H

/* What C needs of asyncio and coroutines wherever it runs: finished awaitables, coroutines written
 * in C, futures. */

#include "base/state.h"

/* An awaitable that is done already: `await` gives `value` at once, with no suspension. For methods
 * that asyncio's style makes coroutines but that seldom have to wait. */
FIO_MUST_CHECK PyObject *fio_ready_new(fio_state *st, PyObject *value);

/* The iterator that `await awaitable` runs (taken over; NULL, with an exception set, gives NULL).
 */
FIO_MUST_CHECK PyObject *fio_await_iterator(FIO_STEALS PyObject *awaitable);

/* Raises StopIteration(value): how a tp_iternext says what am_send says by PYGEN_RETURN. */
void fio_stop_iteration(FIO_STEALS PyObject *value);

/* tp_iternext of a type that has am_send. */
PyObject *fio_iternext_by_send(PyObject *self);

/* -- coroutines in C ------------------------------------------------------------------------------
 * Objects that tasks take for coroutines. A type of them has FioCoroutine as its first member,
 * begins it by fio_coroutine_init(), and names the functions below in its slots:
 * fio_coroutine_am_send, fio_iternext_by_send, and FIO_COROUTINE_METHODS in its table of methods.
 */

typedef struct FioCoroutine FioCoroutine;

typedef struct {
    /* Runs to the next suspension, as am_send does: first with None, then, while it waits, with
     * what was sent. What it runs can neither send(), throw() nor close() this coroutine. */
    PySendResult (*advance)(FioCoroutine *self, PyObject *sent, PyObject **result);
    /* The coroutine is over, whichever way: let go of what it holds. */
    void (*finish)(FioCoroutine *self);
} fio_coroutine_kind;

struct FioCoroutine {
    PyObject_HEAD
    const fio_coroutine_kind *kind;
    PyObject
        *awaited; /* owned: a future or a coroutine that it waits for; NULL: it does not wait */
    PyObject *waiting; /* owned: the iterator of `awaited`, or NULL */
    bool started;      /* send(), throw() or close() was called */
    bool running;      /* inside advance() */
    bool finished;
    FIO_MONITOR_FIELD
};

/* `held` is what is held while it runs (base/hold.h). */
static inline void
fio_coroutine_init(FioCoroutine *self, const fio_coroutine_kind *kind, PyObject *held)
{
    FIO_INIT_MONITOR(self, held);
    self->kind = kind;
    self->awaited = NULL;
    self->waiting = NULL;
    self->started = false;
    self->running = false;
    self->finished = false;
}

/* From now on the coroutine waits for `awaited`: its advance() sends to self->waiting. -1: it
 * cannot be waited for, or was NULL with an exception set. */
FIO_MUST_CHECK int fio_coroutine_wait(FioCoroutine *self, FIO_STEALS PyObject *awaited);

/* Ends fio_coroutine_wait(). */
void fio_coroutine_unwait(FioCoroutine *self);

/* Raises ValueError where the coroutine is inside advance(). */
FIO_MUST_CHECK int fio_coroutine_check_idle(const FioCoroutine *self);

/* tp_finalize's part: RuntimeWarning "coroutine 'owner.name' was never awaited" if that is so. */
void fio_coroutine_warn_unawaited(FioCoroutine *self, const char *owner, const char *name);

/* What follows tp_clear's part in tp_dealloc. */
static inline void
fio_coroutine_end(FioCoroutine *self)
{
    FIO_CLEAR_MONITOR(self);
}

/* tp_traverse's part for what FioCoroutine holds. */
int fio_coroutine_visit(FioCoroutine *self, visitproc visit, void *arg);

PySendResult fio_coroutine_am_send(PyObject *self, PyObject *sent, PyObject **result);
PyObject *fio_coroutine_send(PyObject *self, PyObject *value);
PyObject *fio_coroutine_throw(FioCoroutine *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *fio_coroutine_close(FioCoroutine *self, PyObject *none);

extern const char fio_coroutine_send_doc[];
extern const char fio_coroutine_throw_doc[];
extern const char fio_coroutine_close_doc[];

/* clang-format off */
#define FIO_COROUTINE_METHODS                                                              \
    {"close", (PyCFunction)fio_coroutine_close, METH_NOARGS, fio_coroutine_close_doc},     \
    {"send", fio_coroutine_send, METH_O, fio_coroutine_send_doc},                          \
    {"throw", FIO_METHOD(fio_coroutine_throw), METH_FASTCALL, fio_coroutine_throw_doc}
/* clang-format on */

/* What object.<name>() of a future, a transport or a loop tells: 1, 0, or -1 with an exception. */
FIO_MUST_CHECK int fio_aio_asks(PyObject *object, PyObject *name);

/* -- futures --------------------------------------------------------------------------------------
 */

/* loop.create_future() of any loop. */
FIO_MUST_CHECK PyObject *fio_future_new(fio_state *st, PyObject *loop);

/* future.set_result(value) / set_exception(exc) unless the future is done already. */
FIO_MUST_CHECK int fio_future_set_result(fio_state *st, PyObject *future, PyObject *value);
FIO_MUST_CHECK int fio_future_set_exception(fio_state *st, PyObject *future, PyObject *exc);

FIO_MUST_CHECK int fio_aio_setup_types(PyObject *module);

#endif
