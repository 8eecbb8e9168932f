/* The turn: poll, due timers, the ready ring, the turn-end list; and the loop's beginning and end.
 * The GIL is held all the while, but for a poll that can block. */

#include "loop/loop.h"

#include "base/errors.h"
#include "loop/async.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/timer.h"
#include "loop/watch.h"

/* While callbacks are ready the kernel is not asked in every turn: a poll costs as much as three
 * callbacks. It is after this many turns, or callbacks in them, or this much time, so that
 * descriptors wait for a few callbacks more at the most. */
#define LOOP_UNPOLLED_TURNS 32
#define LOOP_UNPOLLED_CALLS 64

static void
loop_on_poll_end(uv_timer_t *handle)
{
    fio_loop_enter((FioLoop *)handle->loop->data);
}

int
fio_loop_open(FioLoop *loop)
{
    fio_list_init(&loop->turn_end);
    int err = uv_loop_init(&loop->uv);
    if (err < 0) {
        fio_raise_uv(err);
        return -1;
    }
    loop->uv.data = loop;
    if (fio_crossing_open(loop) < 0) {
        (void)uv_loop_close(&loop->uv); /* nothing is open on it */
        return -1;
    }
    (void)uv_timer_init(&loop->uv, &loop->poll_end); /* always 0 */
    loop->closed = false;
    return 0;
}

void
fio_loop_shut(FioLoop *loop)
{
    if (loop->closed) {
        return;
    }
    loop->closed = true;
    fio_crossing_close(loop);
    fio_ready_clear(loop);
    fio_timers_free(loop);
    fio_watches_close(loop);
    uv_close((uv_handle_t *)&loop->wakeup, NULL);
    uv_close((uv_handle_t *)&loop->poll_end, NULL);
    /* Runs the close callbacks; nothing is left to wait for. */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    assert(err == 0);
    (void)err;
}

char *
fio_loop_slab(FioLoop *loop)
{
    if (loop->slab == NULL) {
        loop->slab = PyMem_Malloc(FIO_LOOP_SLAB_SIZE);
        if (loop->slab == NULL) {
            PyErr_NoMemory();
        }
    }
    return loop->slab;
}

static bool
loop_has_work(FioLoop *loop)
{
    return loop->ready.count > 0 || loop->stopping || !fio_list_is_empty(&loop->turn_end);
}

/* A poll that may take a while: other threads run Python meanwhile. */
static void
loop_poll_blocking(FioLoop *loop, int milliseconds)
{
    if (milliseconds > 0) {
        uv_update_time(&loop->uv); /* the timer counts from here */
        (void)uv_timer_start(&loop->poll_end, loop_on_poll_end, (uint64_t)milliseconds, 0);
    }
    atomic_store(&loop->crossing->blocking, true);
    if (FIO_UNLIKELY(atomic_load(&loop->crossing->filled))) {
        atomic_store(&loop->crossing->blocking, false);
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    else {
        loop->parked = PyEval_SaveThread();
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
        fio_loop_enter(loop);
        atomic_store(&loop->crossing->blocking, false);
    }
    if (milliseconds > 0) {
        (void)uv_timer_stop(&loop->poll_end);
    }
}

static void
loop_poll(FioLoop *loop)
{
    if (loop_has_work(loop)) {
        if (++loop->unpolled_turns < LOOP_UNPOLLED_TURNS
            && loop->unpolled_calls < LOOP_UNPOLLED_CALLS) {
            return;
        }
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    else {
        int wait = fio_timer_wait(loop, fio_loop_now());
        if (wait == 0) {
            (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        }
        else {
            loop_poll_blocking(loop, wait);
        }
    }
    loop->unpolled_turns = 0;
    loop->unpolled_calls = 0;
    /* A signal may have ended the wait: its Python handler runs now. */
    if (PyErr_CheckSignals() < 0) {
        fio_report_fatal(loop);
    }
}

static void
loop_run_turn_end(FioLoop *loop)
{
    /* What the work adds again belongs to the next turn. */
    fio_node work;
    fio_list_init(&work);
    while (!fio_list_is_empty(&loop->turn_end)) {
        fio_node *node = loop->turn_end.next;
        fio_list_remove(node);
        fio_list_append(&work, node);
    }
    while (!fio_list_is_empty(&work)) {
        fio_turn_end *item = FIO_CONTAINER_OF(work.next, fio_turn_end, node);
        fio_list_remove(&item->node);
        item->run(item);
    }
}

static void
loop_turn(FioLoop *loop)
{
    if (fio_crossing_drain(loop) < 0) {
        fio_report_fatal(loop);
        return;
    }
    loop_poll(loop);
    if (fio_crossing_drain(loop) < 0) {
        fio_report_fatal(loop);
        return;
    }
    if (loop->timers.size > 0) {
        fio_timers_fire(loop, fio_loop_now());
    }
    if (loop->fatal == NULL) {
        fio_ready_run(loop);
    }
    loop_run_turn_end(loop);
}

int
fio_loop_run(FioLoop *loop)
{
    unsigned long outer_thread_id = loop->thread_id;
    loop->thread_id = PyThread_get_thread_ident();
    loop->running = true;
    loop->unpolled_turns = LOOP_UNPOLLED_TURNS; /* begin with a poll */
    do {
        loop_turn(loop);
    } while (!loop->stopping && loop->fatal == NULL);
    loop->stopping = false;
    loop->thread_id = outer_thread_id;
    loop->running = outer_thread_id != 0;
    if (loop->fatal != NULL) {
        PyObject *exc = loop->fatal;
        loop->fatal = NULL;
        PyErr_SetRaisedException(exc);
        return -1;
    }
    return 0;
}
