/* What both kinds of watches share: how an event gets from the poll to its owner, behind all that
 * was ready before it. */

#include "loop/watch.h"

#include "loop/report.h"
#include "loop/select.h"
#include "loop/threads.h"

static void
watch_on_turn(fio_deferred *deferred)
{
    fio_watch *watch = FIO_CONTAINER_OF(deferred, fio_watch, turn);
    int events = watch->pending;
    watch->pending = 0;
    if (FIO_LIKELY(!watch->loop->debug) || (watch->transport == NULL && !watch->yields)) {
        watch->on_ready(watch, events);
        return;
    }
    FioLoop *loop = (FioLoop *)Py_NewRef((PyObject *)watch->loop);
    PyObject *what = Py_NewRef(watch->transport == NULL ? Py_None : watch->transport);
    int64_t begin = fio_loop_now();
    watch->on_ready(watch, events);
    fio_report_slow(loop, what, begin);
    Py_DECREF(what);
    Py_DECREF(loop);
}

void
fio_watch_reset(fio_watch *watch)
{
    watch->events = 0;
    watch->pending = 0;
    watch->turn.run = watch_on_turn;
    watch->turn.queued = false;
    watch->refused = false;
}

void
fio_watch_rest(fio_watch *watch)
{
    watch->pending = 0;
    fio_loop_undefer(watch->loop, &watch->turn);
}

void
fio_watch_want(fio_watch *watch, int events)
{
    FioLoop *loop = watch->loop;
    if (!watch->unheard) {
        loop->heard += (events != 0) - (watch->events != 0);
    }
    watch->events = events;
    /* asyncio: remove_reader() takes back what the poll of this turn has queued. */
    watch->pending &= events;
    if (watch->pending == 0) {
        fio_watch_rest(watch);
    }
}

void
fio_watch_heed(fio_watch *watch)
{
    if (watch->unheard) {
        watch->unheard = false;
        watch->loop->heard += watch->events != 0;
    }
}

void
fio_watch_happened(fio_watch *watch, int events)
{
    FioLoop *loop = watch->loop;
    if (FIO_UNLIKELY(loop->found != NULL)) {
        fio_select_note(loop, watch->fd, events);
        return;
    }
    /* Other threads' calls until now were made before this event was seen. */
    if (fio_crossing_drain(loop) < 0) {
        fio_report_fatal(loop);
    }
    if (watch->on_found != NULL) {
        events = watch->on_found(watch, events);
        if (events == 0) {
            return;
        }
    }
    if (!watch->only_queues) {
        watch->pending |= events;
        if (fio_loop_defer(loop, &watch->turn) == 0) {
            return;
        }
        PyErr_Clear(); /* no memory for the order of things */
        watch->pending = 0;
    }
    watch->on_ready(watch, events);
}

void
fio_watch_repeat(fio_watch *watch, int events)
{
    if (watch->open && (watch->events & events) != 0) {
        fio_watch_settle(watch);
        fio_watch_happened(watch, watch->events & events);
    }
}
