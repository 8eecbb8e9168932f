#ifndef FIO_LOOP_TIMER_H
#define FIO_LOOP_TIMER_H

/* The heap of timers from inside the room. */

#include "loop/callback.h"
#include "loop/clock.h"

/* Seconds a poll waits at the most, as asyncio's MAXIMUM_SELECT_TIMEOUT. */
#define FIO_TIMER_LONGEST_WAIT (24 * 3600)

/* Seconds of the monotonic clock in nanoseconds, rounded down: a time is due once the clock has
 * reached it within one nanosecond (asyncio: base_events._run_once adds the clock's resolution). */
int64_t fio_timer_nanoseconds(double seconds);

/* loop.time() in nanoseconds: our clock, or the method a subclass or a test put in its place. An
 * exception of the latter ends the run. */
int64_t fio_timer_clock(FioLoop *loop);

/* Whether it is not our clock. */
static inline bool
fio_timer_is_foreign(const FioLoop *loop)
{
    return FIO_UNLIKELY(loop->foreign_time) || fio_clock_is_foreign(loop->st);
}

/* The time up to which TimerHandles are due by another's clock: what loop._clock_resolution adds to
 * it, as asyncio's turn does. */
FIO_COLD int64_t fio_timer_due_foreign(FioLoop *loop);

/* When the first TimerHandle is due, in seconds; there is one. */
double fio_timer_first(const FioLoop *loop);

/* The same in seconds for call_later(); -1.0 with an exception set. */
double fio_timer_clock_seconds(FioLoop *loop);

/* The method itself. */
PyObject *fio_timer_time_call(FioLoop *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames);

/* Milliseconds until the first timer is due, rounded up; 0 when one is, -1 when there is none. */
int fio_timer_wait(const fio_timer_heap *heap, int64_t now);

/* Fires all timers of a heap that are due. */
void fio_timers_fire(FioLoop *loop, fio_timer_heap *heap, int64_t now);

/* Empties both heaps; C timers are not fired. */
void fio_timers_free(FioLoop *loop);

/* The TimerHandles of the heap, in the heap's order (the first is the next to fire). */
FIO_MUST_CHECK PyObject *fio_timers_list(FioLoop *loop);

/* loop._scheduled_take(handle) and _scheduled_put(handle): out of the heap, into it. */
PyObject *fio_timers_take(FioLoop *loop, PyObject *handle);
PyObject *fio_timers_put(FioLoop *loop, PyObject *handle);

/* Makes TimerHandles that others hold, too, known to the garbage collector. */
void fio_timers_track(FioLoop *loop);

int fio_timers_traverse(FioLoop *loop, visitproc visit, void *arg);

#endif
