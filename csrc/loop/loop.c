/* The turn: poll, due timers, the ready ring, the turn-end list; and the loop's beginning and end.
 * The GIL is held all the while, but for a poll that can block. */

#include "loop/loop.h"

#include "base/errors.h"
#include "loop/callback.h"
#include "loop/metrics.h"
#include "loop/overrides.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/resolver.h"
#include "loop/select.h"
#include "loop/signal.h"
#include "loop/threads.h"
#include "loop/timer.h"
#include "loop/watch.h"

/* A poll costs more than several callbacks. While callbacks are ready and nobody watches a
 * descriptor, all that it could bring are signals without a handler of the loop's; so it is made in
 * one of so many turns. Otherwise it is made in every turn, for programs can tell: what is in the
 * kernel before a sleep(0) is seen after the next one. */
#define LOOP_UNPOLLED_TURNS 32

/* Milliseconds a poll waits at the most while other threads cannot end it. */
#define LOOP_UNREACHABLE_WAIT 50

/* From 128 KiB on glibc maps blocks one by one, and it gives what is free at the heap's end back --
 * until a larger mapped block has been freed, whose size then counts (mallopt(3): the thresholds
 * are dynamic, up to 32 MiB). Until then large reads have the kernel take their pages away and
 * clear others for them again and again, half of what it costs to receive bodies of 1 MiB. */
#define LOOP_HEAP_BLOCK ((size_t)16 * 1024 * 1024)

int
fio_loop_open(FioLoop *loop)
{
    fio_list_init(&loop->turn_end);
    fio_list_init(&loop->turn_end_now);
    if (!loop->st->heap_kept) {
        PyMem_Free(PyMem_Malloc(LOOP_HEAP_BLOCK));
        loop->st->heap_kept = true;
    }
    if (fio_crossing_open(loop) < 0) {
        return -1;
    }
    if (fio_watches_open(loop) < 0) {
        return -1;
    }
    loop->closed = false;
    /* Now, so that a program which counts its descriptors finds no more of them later. */
    (void)fio_watches_reachable(loop);
    return 0;
}

void
fio_loop_shut(FioLoop *loop)
{
    if (loop->closed && !loop->closed_by_name) {
        return;
    }
    loop->closed = true;
    loop->closed_by_name = false;
    fio_resolver_shut(loop);
    fio_crossing_close(loop);
    fio_loop_drop_input(loop);
    fio_watches_close(loop);
    fio_signal_free(loop);
    fio_ready_clear(loop);
    fio_timers_free(loop);
    fio_handle_pool_free(loop);
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

bool
fio_loop_has_work(FioLoop *loop)
{
    return loop->ready.count > 0 || loop->stopping || !fio_list_is_empty(&loop->turn_end)
           || fio_watches_closing(loop);
}

bool
fio_loop_wait(FioLoop *loop, int milliseconds)
{
    if (FIO_UNLIKELY(!fio_watches_reachable(loop))) {
        bool brief = milliseconds > 0 && milliseconds < LOOP_UNREACHABLE_WAIT;
        fio_watches_poll(loop, brief ? milliseconds : LOOP_UNREACHABLE_WAIT);
        return false;
    }
    loop->timers.waited = loop->timers.started;
    atomic_store(&loop->crossing->blocking, true);
    /* What another thread queued until now did not wake us. */
    bool written = atomic_load(&loop->crossing->written);
    bool filled = loop->ready.count > 0 || atomic_load(&loop->crossing->filled);
    fio_watches_poll(loop, filled || written ? 0 : milliseconds);
    atomic_store(&loop->crossing->written, false);
    return !atomic_exchange(&loop->crossing->blocking, false) || written;
}

/* Milliseconds until the first timer is due, -1: there is none. `now`: our clock. */
static int
loop_time_to_wait(FioLoop *loop, int64_t now)
{
    int wait = fio_timer_wait(&loop->c_timers, now);
    if (loop->timers.size > 0) {
        int64_t then = fio_timer_is_foreign(loop) ? fio_timer_clock(loop) : now;
        int other = fio_timer_wait(&loop->timers, then);
        wait = wait < 0 || (other >= 0 && other < wait) ? other : wait;
    }
    return wait;
}

/* Is this one of the turns that go without a poll? */
static bool
loop_skips_poll(FioLoop *loop)
{
    if (loop->ready_first) {
        loop->ready_first = false;
        return true;
    }
    if (loop->heard == 0 && !fio_watches_closing(loop)
        && ++loop->unpolled_turns < LOOP_UNPOLLED_TURNS) {
        return true;
    }
    fio_metrics_poll(loop, fio_loop_now());
    return false;
}

/* The poll of a turn that has nothing to do yet. */
static void
loop_poll_waiting(FioLoop *loop)
{
    if (fio_signal_wait_begin(loop) < 0) {
        fio_report_fatal(loop);
    }
    int64_t now = fio_loop_now();
    fio_metrics_poll(loop, now);
    /* A signal's handler may have given it work. */
    int wait = fio_loop_has_work(loop) ? 0 : loop_time_to_wait(loop, now);
    if (loop->fatal == NULL && wait != 0) {
        (void)fio_loop_wait(loop, wait);
    }
    fio_signal_wait_end(loop);
    if (loop->fatal == NULL && wait == 0) {
        fio_watches_poll(loop, 0);
    }
}

static void
loop_poll(FioLoop *loop)
{
    if (FIO_UNLIKELY(loop->foreign_select)) {
        loop->ready_first = false;
        fio_metrics_poll(loop, fio_loop_now());
        fio_select_turn(loop, fio_loop_has_work(loop));
    }
    else if (fio_loop_has_work(loop)) {
        if (loop_skips_poll(loop)) {
            return;
        }
        fio_watches_poll(loop, 0);
    }
    else {
        loop_poll_waiting(loop);
    }
    loop->unpolled_turns = 0;
    /* A signal may have ended the wait: its Python handler runs now. */
    if (loop->fatal == NULL && PyErr_CheckSignals() < 0) {
        fio_report_fatal(loop);
    }
}

void
fio_loop_run_turn_end(FioLoop *loop)
{
    /* What the work adds again belongs to the next turn. The list is the loop's, so that a call
     * from within the work does the rest of it. */
    fio_node *now = &loop->turn_end_now;
    while (!fio_list_is_empty(&loop->turn_end)) {
        fio_node *node = loop->turn_end.next;
        fio_list_remove(node);
        fio_list_append(now, node);
    }
    while (!fio_list_is_empty(now)) {
        fio_turn_end *item = FIO_CONTAINER_OF(now->next, fio_turn_end, node);
        fio_list_remove(&item->node);
        item->run(item);
    }
}

static void
loop_fire_timers(FioLoop *loop)
{
    if (loop->timers.size + loop->c_timers.size == 0 || loop->fatal != NULL) {
        return;
    }
    int64_t now = fio_loop_now();
    if (loop->c_timers.size > 0) {
        fio_metrics_timers(loop, &loop->c_timers, now);
        fio_timers_fire(loop, &loop->c_timers, now);
    }
    if (loop->timers.size > 0 && loop->fatal == NULL) {
        bool foreign = fio_timer_is_foreign(loop);
        if (FIO_UNLIKELY(foreign)) {
            now = fio_timer_due_foreign(loop);
        }
        else {
            fio_metrics_timers(loop, &loop->timers, now);
        }
        fio_timers_fire(loop, &loop->timers, now);
    }
}

static void
loop_turn(FioLoop *loop)
{
    loop->metrics.turns++;
    loop->left_behind = false;
    if (fio_crossing_drain(loop) < 0) {
        fio_report_fatal(loop);
        return;
    }
    loop_poll(loop);
    if (fio_crossing_drain(loop) < 0) {
        fio_report_fatal(loop);
        return;
    }
    loop_fire_timers(loop);
    if (loop->fatal == NULL) {
        fio_ready_run(loop);
    }
    fio_loop_run_turn_end(loop);
}

/* Raises what ended the run, if anything did. */
static int
loop_raise_fatal(FioLoop *loop)
{
    PyObject *exc = loop->fatal;
    if (exc == NULL) {
        return 0;
    }
    loop->fatal = NULL;
    PyErr_SetRaisedException(exc);
    return -1;
}

/* Between the checks in Python and this, another thread may have come in. */
static int
loop_check_thread(const FioLoop *loop, unsigned long thread)
{
    if ((loop->thread_id != 0 && loop->thread_id != thread)
        || (loop->by_hand != 0 && loop->by_hand != thread)) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return -1;
    }
    return 0;
}

int
fio_loop_begin_by_hand(FioLoop *loop, unsigned long *outer)
{
    unsigned long thread = PyThread_get_thread_ident();
    if (loop_check_thread(loop, thread) < 0) {
        return -1;
    }
    *outer = loop->by_hand;
    loop->by_hand = thread;
    fio_metrics_begin(loop);
    return 0;
}

void
fio_loop_end_by_hand(FioLoop *loop, unsigned long outer)
{
    fio_metrics_end(loop);
    loop->by_hand = outer;
}

int
fio_loop_turn(FioLoop *loop)
{
    unsigned long outer = 0;
    if (fio_loop_begin_by_hand(loop, &outer) < 0) {
        return -1;
    }
    loop_turn(loop);
    fio_loop_end_by_hand(loop, outer);
    return loop_raise_fatal(loop);
}

int
fio_loop_run(FioLoop *loop)
{
    unsigned long thread = PyThread_get_thread_ident();
    unsigned long outer_thread_id = loop->thread_id;
    bool outer_running = loop->running;
    if (loop_check_thread(loop, thread) < 0) {
        return -1;
    }
    fio_metrics_begin(loop);
    loop->thread_id = thread;
    loop->running = true; /* nobody closes it from here on */
    if (fio_overrides_look(loop) < 0) {
        loop->thread_id = outer_thread_id;
        loop->running = outer_running;
        return -1;
    }
    /* Begin with a poll; a nested run with what is ready, or the poll would find its causes again.
     */
    loop->unpolled_turns = LOOP_UNPOLLED_TURNS;
    loop->timers.waited = loop->timers.started;
    loop->ready_first = loop->nesting > 0 && loop->ready.count > 0;
    do {
        if (FIO_UNLIKELY(loop->foreign_turn)) {
            fio_overrides_turn(loop);
        }
        else {
            loop_turn(loop);
        }
    } while (!loop->stopping && loop->fatal == NULL);
    loop->stopping = false;
    loop->thread_id = outer_thread_id;
    loop->running = outer_running;
    fio_metrics_end(loop);
    if (!loop->running) {
        fio_ready_track(loop);
        fio_timers_track(loop);
    }
    return loop_raise_fatal(loop);
}
