#ifndef FIO_LOOP_METRICS_H
#define FIO_LOOP_METRICS_H

/* What loop.metrics() tells: counters and times that the turn keeps anyway, put together when
 * somebody asks. */

#include "loop/timer.h"

/* METH_NOARGS: the numbers of fastaio.LoopMetrics in their order, as a tuple. */
PyObject *fio_metrics_read(FioLoop *loop, PyObject *unused);

/* Begin and end of the time in which the loop is somebody's: it runs, or takes a turn by hand. */
void fio_metrics_begin(FioLoop *loop);
void fio_metrics_end(FioLoop *loop);

/* The descriptors are looked at `now`, in nanoseconds: all since the last look was work. */
static inline void
fio_metrics_poll(FioLoop *loop, int64_t now)
{
    fio_metrics *metrics = &loop->metrics;
    int64_t lag = now - metrics->since;
    metrics->worked += lag;
    metrics->since = now;
    metrics->lag = lag > metrics->late ? lag : metrics->late;
    metrics->late = 0;
    if (metrics->lag > metrics->lag_max) {
        metrics->lag_max = metrics->lag;
    }
}

/* Timers are looked at `now`, by our clock. */
static inline void
fio_metrics_timers(FioLoop *loop, const fio_timer_heap *heap, int64_t now)
{
    int64_t when = heap->items[0].when;
    if (when <= now && now - when > loop->metrics.late) {
        loop->metrics.late = now - when;
    }
}

#endif
