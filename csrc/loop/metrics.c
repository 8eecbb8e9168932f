/* loop.metrics(). Read from the loop's own thread or, with the GIL held, from any other: what is
 * written here and by the turn is written with the GIL held. */

#include "loop/metrics.h"

#include "loop/signal.h"
#include "loop/threads.h"
#include "loop/watch.h"

#include <sys/socket.h>

void
fio_metrics_begin(FioLoop *loop)
{
    if (!loop->running) {
        loop->metrics.since = fio_loop_now();
    }
}

void
fio_metrics_end(FioLoop *loop)
{
    if (!loop->running) {
        fio_metrics_poll(loop, fio_loop_now()); /* as if it were looked: nothing is under way */
    }
}

void
fio_loop_woken(FioLoop *loop)
{
    PyThreadState *ts = loop->parked;
    loop->parked = NULL;
    PyEval_RestoreThread(ts);
    fio_signal_wait_end(loop);
    int64_t now = fio_loop_now();
    loop->metrics.waited += now - loop->metrics.since;
    loop->metrics.since = now;
}

typedef struct {
    Py_ssize_t descriptors;
    Py_ssize_t tcp;
    Py_ssize_t unix_sockets;
    Py_ssize_t pipes;
    Py_ssize_t datagrams;
    Py_ssize_t tls;
    Py_ssize_t listeners;
} metrics_counts;

static int
metrics_socket_option(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? 0 : value;
}

static void
metrics_count_transport(const fio_watch *watch, metrics_counts *counts)
{
    const fio_state *st = watch->loop->st;
    if (PyObject_TypeCheck(watch->transport, st->DatagramTransportType)) {
        counts->datagrams++;
    }
    else if (PyObject_TypeCheck(watch->transport, st->ReadPipeTransportType)
             || PyObject_TypeCheck(watch->transport, st->WritePipeTransportType)) {
        counts->pipes++;
    }
    else {
#ifdef SO_DOMAIN
        bool is_unix = metrics_socket_option(watch->fd, SO_DOMAIN) == AF_UNIX;
#else
        struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof(name);
        (void)getsockname(watch->fd, (struct sockaddr *)&name, &size);
        bool is_unix = name.ss_family == AF_UNIX;
#endif
        counts->unix_sockets += is_unix;
        counts->tcp += !is_unix;
        counts->tls += watch->carries_tls;
    }
}

static int
metrics_count(fio_watch *watch, void *arg)
{
    metrics_counts *counts = arg;
    if (fio_signal_owns(watch)) {
        return 0;
    }
    counts->descriptors += watch->events != 0;
    if (watch->transport != NULL) {
        metrics_count_transport(watch, counts);
    }
    else if (watch->events != 0) {
        counts->listeners += metrics_socket_option(watch->fd, SO_ACCEPTCONN) != 0;
    }
    return 0;
}

/* Brings the times up to this moment, without touching the loop's own. */
static fio_metrics
metrics_until_now(const FioLoop *loop)
{
    fio_metrics metrics = loop->metrics;
    if (loop->running) {
        int64_t passed = fio_loop_now() - metrics.since;
        bool waits = loop->parked != NULL;
        *(waits ? &metrics.waited : &metrics.worked) += passed;
        if (!waits && passed > metrics.lag_max) {
            metrics.lag_max = passed; /* of a callback that has not returned yet */
        }
    }
    return metrics;
}

/* How many calls of other threads have not come in yet. */
static size_t
metrics_crossing(FioLoop *loop)
{
    fio_crossing_lock(loop);
    size_t size = loop->crossing->size;
    fio_crossing_unlock(loop);
    return size;
}

PyObject *
fio_metrics_read(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    FIO_HOLD(loop);
    const double seconds = 1e-9;
    fio_metrics now = metrics_until_now(loop);
    int64_t worked = now.worked - now.worked_read;
    int64_t passed = worked + now.waited - now.waited_read;
    loop->metrics.worked_read = now.worked;
    loop->metrics.waited_read = now.waited;
    loop->metrics.lag_max = 0;
    metrics_counts counts = {.descriptors = 0};
    (void)fio_watches_visit(loop, metrics_count, &counts);
    return Py_BuildValue(
        "(KKnnndddddnnnnnn)", (unsigned long long)now.turns, (unsigned long long)now.callbacks,
        (Py_ssize_t)(loop->ready.count + metrics_crossing(loop)),
        loop->timers.size + loop->c_timers.size, counts.descriptors, (double)now.lag * seconds,
        (double)now.lag_max * seconds, passed > 0 ? (double)worked / (double)passed : 0.0,
        (double)now.worked * seconds, (double)now.waited * seconds, counts.tcp, counts.unix_sockets,
        counts.pipes, counts.datagrams, counts.tls, counts.listeners);
}
