#ifndef FIO_SERVER_STEPS_H
#define FIO_SERVER_STEPS_H

/* The coroutine that a handler's Task runs. Where the handler's first step was taken before there
 * was a task, it begins by handing that task the future which the step waits for. */

#include "server/handler_task.h"

typedef enum {
    FIO_STEPS_NEW,      /* nothing was run yet */
    FIO_STEPS_FIRST,    /* the first step runs now, down the stack, without a task */
    FIO_STEPS_HELD,     /* it waits for `awaited`, which the task has not been told yet */
    FIO_STEPS_YIELDED,  /* it gave way for one turn: the task's first step goes on */
    FIO_STEPS_LIVE,     /* driven by the task */
    FIO_STEPS_FINISHED, /* over before the task's first step, by `error` or well */
    FIO_STEPS_CLOSED,
} fio_steps_state;

typedef struct {
    PyObject_HEAD
    fio_state *st;         /* borrowed: the type keeps the module alive */
    fio_handling handling; /* what it holds is owned */
    PyObject *described;   /* owned: the handler's coroutine, for names and frames */
    PyObject *awaited;     /* owned: HELD only */
    PyObject *error;       /* owned or NULL: FINISHED only */
    uint8_t state;         /* fio_steps_state */
    bool running;
    FIO_MONITOR_FIELD /* the connection's loop */
} FioSteps;

FIO_MUST_CHECK FioSteps *fio_steps_new(fio_state *st, fio_steps_state state, PyObject *described);

/* Sends `value` into what is being handled and goes on until something has to be waited for
 * (PYGEN_NEXT, *result), all is answered (PYGEN_RETURN) or an exception is for the task
 * (PYGEN_ERROR). */
PySendResult fio_handling_send(fio_handling *handling, PyObject *value, PyObject **result);

FIO_MUST_CHECK int fio_steps_setup_types(PyObject *module);

#endif
