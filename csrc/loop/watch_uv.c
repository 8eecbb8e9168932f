/* Watching descriptors where there is no epoll: uv_poll_t, with libuv doing the waiting. Two things
 * are libuv's and differ from asyncio: a descriptor that is watched becomes non-blocking, and one
 * that others close while it is watched ends the process. */

#include "loop/watch.h"

#if !FIO_WATCH_EPOLL

#include "base/errors.h"

/* As in watch_epoll.c. */
#define WATCH_INHERITED_POLLS 1024

struct fio_watches {
    uv_timer_t poll_end; /* bounds a poll */
    int closing;         /* watches whose on_closed is still to be called */
    int inherited;       /* polls until a forked child watches its parent's descriptors, or 0 */
};

static void
watches_on_poll_end(uv_timer_t *handle)
{
    fio_loop_enter((FioLoop *)handle->loop->data);
}

static void
watches_on_wakeup(uv_async_t *handle)
{
    /* That the poll has ended is all: the next turn takes in what other threads queued. */
    fio_loop_enter((FioLoop *)handle->loop->data);
}

static int
watches_open_uv(FioLoop *loop)
{
    int err = uv_loop_init(&loop->uv);
    if (err == 0) {
        loop->uv.data = loop;
        err = uv_async_init(&loop->uv, &loop->wakeup, watches_on_wakeup);
        if (err < 0) {
            (void)uv_loop_close(&loop->uv); /* nothing is open on it */
        }
    }
    if (err < 0) {
        fio_raise_uv(err);
        return -1;
    }
    return 0;
}

static void
watches_close_uv(FioLoop *loop)
{
    uv_close((uv_handle_t *)&loop->wakeup, NULL);
    /* Runs the close callbacks; nothing is left to wait for. */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    assert(err == 0);
    (void)err;
}

int
fio_watches_open(FioLoop *loop)
{
    if (watches_open_uv(loop) < 0) {
        return -1;
    }
    loop->watches = PyMem_Calloc(1, sizeof(struct fio_watches));
    if (loop->watches == NULL) {
        watches_close_uv(loop);
        PyErr_NoMemory();
        return -1;
    }
    (void)uv_timer_init(&loop->uv, &loop->watches->poll_end); /* always 0 */
    return 0;
}

bool
fio_watches_reachable(FioLoop *Py_UNUSED(loop))
{
    return true; /* libuv's loop is there from the start */
}

void
fio_watches_ring(FioLoop *loop)
{
    (void)uv_async_send(&loop->wakeup); /* it fails for no open handle */
}

static void
watch_on_poll(uv_poll_t *poll, int status, int events)
{
    fio_watch *watch = FIO_CONTAINER_OF(poll, fio_watch, poll);
    fio_loop_enter(watch->loop);
    int wanted = watch->events;
    if (status < 0) {
        /* libuv stopped the handle; the owner's next system call meets the error. */
        events = wanted;
        fio_watch_want(watch, 0);
        fio_watch_set(watch, wanted);
    }
    fio_watch_happened(watch, events & wanted);
}

int
fio_watch_open(FioLoop *loop, fio_watch *watch, int fd)
{
    int err = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (err < 0) {
        fio_raise_uv(err);
        return -1;
    }
    watch->loop = loop;
    watch->fd = fd;
    fio_watch_reset(watch);
    watch->open = true;
    return 0;
}

void
fio_watch_set(fio_watch *watch, int events)
{
    if (!watch->open || watch->events == events) {
        return;
    }
    fio_watch_want(watch, events);
    /* Neither call fails for an open handle. */
    if (events == 0) {
        (void)uv_poll_stop(&watch->poll);
    }
    else {
        (void)uv_poll_start(&watch->poll, events, watch_on_poll);
        fio_loop_changed(watch->loop);
    }
}

int
fio_watch_commit(fio_watch *Py_UNUSED(watch))
{
    return 0; /* uv_poll_init() has asked the kernel whether it can be watched */
}

static void
watch_on_close(uv_handle_t *handle)
{
    fio_watch *watch = FIO_CONTAINER_OF((uv_poll_t *)handle, fio_watch, poll);
    fio_loop_enter(watch->loop);
    watch->loop->watches->closing--;
    if (watch->on_closed != NULL) {
        watch->on_closed(watch);
    }
}

void
fio_watch_close(fio_watch *watch)
{
    if (watch->open) {
        watch->open = false;
        fio_watch_want(watch, 0);
        watch->loop->watches->closing++;
        uv_close((uv_handle_t *)&watch->poll, watch_on_close);
    }
}

typedef struct {
    int (*visit)(fio_watch *watch, void *arg);
    void *arg;
    int result;
} watch_walk_state;

static void
watch_on_walk(uv_handle_t *handle, void *arg)
{
    watch_walk_state *walk = arg;
    if (walk->result == 0 && handle->type == UV_POLL && !uv_is_closing(handle)) {
        walk->result = walk->visit(FIO_CONTAINER_OF((uv_poll_t *)handle, fio_watch, poll),
                                   walk->arg);
    }
}

int
fio_watches_visit(FioLoop *loop, int (*visit)(fio_watch *watch, void *arg), void *arg)
{
    watch_walk_state walk = {visit, arg, 0};
    if (loop->watches != NULL) {
        uv_walk(&loop->uv, watch_on_walk, &walk);
    }
    return walk.result;
}

int
fio_watches_traverse(FioLoop *Py_UNUSED(loop), visitproc Py_UNUSED(visit), void *Py_UNUSED(arg))
{
    return 0; /* uv_walk() leaves out what is closing: an unclosed loop is not collected */
}

typedef struct {
    int fd;
    fio_watch *found;
} watch_search;

/* There may be more than one of a descriptor that was used again: the last that wants events. */
static int
watch_match(fio_watch *watch, void *arg)
{
    watch_search *search = arg;
    if (watch->fd == search->fd && (search->found == NULL || watch->events != 0)) {
        search->found = watch;
    }
    return 0;
}

void
fio_watch_settle(fio_watch *Py_UNUSED(watch))
{
}

fio_watch *
fio_watch_of(const FioLoop *loop, int fd)
{
    watch_search search = {fd, NULL};
    (void)fio_watches_visit((FioLoop *)(uintptr_t)loop, watch_match, &search);
    return search.found;
}

fio_watch *
fio_watch_of_file(const FioLoop *Py_UNUSED(loop), int Py_UNUSED(fd))
{
    return NULL;
}

static int
watch_close_one(fio_watch *watch, void *Py_UNUSED(arg))
{
    fio_watch_close(watch);
    return 0;
}

bool
fio_watches_closing(const FioLoop *loop)
{
    return loop->watches->closing > 0;
}

void
fio_watches_close(FioLoop *loop)
{
    if (loop->watches == NULL) {
        return;
    }
    (void)fio_watches_visit(loop, watch_close_one, NULL);
    uv_close((uv_handle_t *)&loop->watches->poll_end, NULL);
    while (loop->watches->closing > 0) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* poll_end's own closing */
    PyMem_Free(loop->watches);
    loop->watches = NULL;
    watches_close_uv(loop);
}

static int
watch_rest(fio_watch *watch, void *Py_UNUSED(arg))
{
    fio_watch_rest(watch);
    (void)uv_poll_stop(&watch->poll); /* always 0 */
    return 0;
}

static int
watch_go_on(fio_watch *watch, void *Py_UNUSED(arg))
{
    if (watch->events != 0) {
        (void)uv_poll_start(&watch->poll, watch->events, watch_on_poll); /* as in fio_watch_set() */
    }
    return 0;
}

int
fio_watches_fork(FioLoop *loop, bool was_running)
{
    int err = uv_loop_fork(&loop->uv);
    if (err < 0) {
        fio_raise_uv(err);
        return -1;
    }
    if (was_running) {
        (void)fio_watches_visit(loop, watch_rest, NULL);
        loop->watches->inherited = WATCH_INHERITED_POLLS;
    }
    return 0;
}

static void
watches_inherit(FioLoop *loop, int milliseconds)
{
    if (--loop->watches->inherited == 0 || milliseconds != 0) {
        loop->watches->inherited = 0;
        (void)fio_watches_visit(loop, watch_go_on, NULL);
    }
}

void
fio_watches_poll(FioLoop *loop, int milliseconds)
{
    if (loop->watches->inherited > 0) {
        watches_inherit(loop, milliseconds);
    }
    if (milliseconds == 0) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    if (milliseconds > 0) {
        uv_update_time(&loop->uv); /* the timer counts from here */
        (void)uv_timer_start(&loop->watches->poll_end, watches_on_poll_end, (uint64_t)milliseconds,
                             0);
    }
    loop->parked = PyEval_SaveThread();
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
    fio_loop_enter(loop);
    (void)uv_timer_stop(&loop->watches->poll_end);
}

#endif
