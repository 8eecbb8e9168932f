/* Watching descriptors: uv_poll_t with asyncio's expectations. */

#include "loop/watch.h"

#include "base/errors.h"

static void
watch_on_poll(uv_poll_t *poll, int status, int events)
{
    fio_watch *watch = FIO_CONTAINER_OF(poll, fio_watch, poll);
    fio_loop_enter(watch->loop);
    if (status < 0) {
        /* libuv stopped the handle; the owner's next system call meets the error. */
        events = UV_READABLE | UV_WRITABLE;
        int wanted = watch->events;
        watch->events = 0;
        fio_watch_set(watch, wanted);
    }
    watch->on_ready(watch, events);
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
    watch->events = 0;
    watch->open = true;
    return 0;
}

void
fio_watch_set(fio_watch *watch, int events)
{
    if (!watch->open || watch->events == events) {
        return;
    }
    watch->events = events;
    /* Neither call fails for an open handle. */
    if (events == 0) {
        (void)uv_poll_stop(&watch->poll);
    }
    else {
        (void)uv_poll_start(&watch->poll, events, watch_on_poll);
    }
}

static void
watch_on_close(uv_handle_t *handle)
{
    fio_watch *watch = FIO_CONTAINER_OF((uv_poll_t *)handle, fio_watch, poll);
    fio_loop_enter(watch->loop);
    if (watch->on_closed != NULL) {
        watch->on_closed(watch);
    }
}

void
fio_watch_close(fio_watch *watch)
{
    if (watch->open) {
        watch->open = false;
        watch->events = 0;
        uv_close((uv_handle_t *)&watch->poll, watch_on_close);
    }
}

static void
watch_walk(uv_handle_t *handle, void *Py_UNUSED(arg))
{
    if (handle->type == UV_POLL && !uv_is_closing(handle)) {
        fio_watch_close(FIO_CONTAINER_OF((uv_poll_t *)handle, fio_watch, poll));
    }
}

void
fio_watches_close(FioLoop *loop)
{
    uv_walk(&loop->uv, watch_walk, NULL);
}
