/* The read side of a byte stream and its life: what is watched for, the one read a turn, the
 * peer's end, and asyncio's order of closing. Output is stream_write.c's. */

#include "net/stream.h"

#include "base/errors.h"
#include "net/stream_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void stream_on_ready(fio_watch *watch, int events);
static int stream_on_found(fio_watch *watch, int events);
static void stream_on_watch_closed(fio_watch *watch);
static void stream_on_displaced(fio_watch *watch);

void
fio_stream_init(fio_stream *stream, const fio_stream_kind *kind, FioLoop *loop, int fd)
{
    stream->wire.ops = &fio_stream_wire_ops;
    stream->kind = kind;
    stream->loop = loop;
    stream->fd = fd;
    stream->second_fd = -1;
    stream->chunks = &stream->one;
    stream->chunk_capacity = 1;
    stream->high_water = FIO_STREAM_HIGH_WATER;
    stream->low_water = FIO_STREAM_LOW_WATER;
    stream->watch.on_ready = stream_on_ready;
    stream->watch.on_found = stream_on_found;
    stream->watch.on_closed = stream_on_watch_closed;
    stream->watch.on_displaced = stream_on_displaced;
    stream->watch.transport = kind->owner(stream);
    fio_list_init(&stream->turn_end.node);
}

/* -- the watch ------------------------------------------------------------------------------------
 */

static void
stream_hold_owner(fio_stream *stream)
{
    if (!stream->holds_owner) {
        stream->holds_owner = true;
        stream->watch.keeps = stream->kind->owner(stream);
        /* Given back by stream_release_owner(): nothing is watched any more. */
        Py_INCREF(stream->kind->owner(stream));
    }
}

static void
stream_release_owner(fio_stream *stream)
{
    if (stream->holds_owner) {
        stream->holds_owner = false;
        stream->watch.keeps = NULL;
        Py_DECREF(stream->kind->owner(stream));
    }
}

bool
fio_stream_is_reading(const fio_stream *stream)
{
    /* asyncio: a closing write pipe hears of its reader's end as long as there is output. */
    bool listens = !stream->wire.closing
                   || (stream->kind->reads_are_hangup && stream->lost_count == 0);
    bool deaf = stream->kind->reads_are_hangup && stream->watch.read_elsewhere;
    return stream->started && !stream->paused && !stream->ended && listens && !deaf;
}

/* Opens the watch. A socket or a terminal may be a read pipe and a write pipe at once: whose number
 * is watched already, of that a duplicate is. */
static int
stream_open_watch(fio_stream *stream)
{
    FioLoop *loop = stream->loop;
    const fio_stream_kind *kind = stream->kind;
    fio_watch *other = kind->is_socket ? NULL : fio_watch_of_file(loop, stream->fd);
    if (other == NULL) {
        return fio_watch_open(loop, &stream->watch, stream->fd);
    }
    int fd = fcntl(stream->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    stream->second_fd = fd;
    other->read_elsewhere = other->read_elsewhere || !kind->reads_are_hangup;
    int result = fio_watch_open(loop, &stream->watch, fd);
    stream->watch.read_elsewhere = true;
    return result;
}

void
fio_stream_update_watch(fio_stream *stream)
{
    if (stream->fd < 0 || stream->loop->closed) {
        return;
    }
    stream->watch.yields = stream->lost_count > 0; /* what is left is to close it */
    int events = 0;
    if (fio_stream_is_reading(stream)) {
        events |= UV_READABLE;
    }
    if (stream->blocked) {
        events |= UV_WRITABLE;
    }
    if (events == 0) {
        if (stream->watch.open) {
            fio_watch_set(&stream->watch, 0);
            stream_release_owner(stream);
        }
        return;
    }
    if (!stream->watch.open) {
        if (stream_open_watch(stream) < 0) {
            stream->blocked = false;
            stream->kind->failed(stream, 0, stream->kind->read_error);
            return;
        }
        if (!stream->watch.open) {
            return; /* ended by what the old watch of that number had to say */
        }
        if (!fio_stream_is_reading(stream)) {
            events &= ~UV_READABLE;
        }
    }
    stream_hold_owner(stream);
    fio_watch_set(&stream->watch, events);
}

void
fio_stream_start(fio_stream *stream)
{
    stream->started = !stream->never_reads;
    fio_stream_update_watch(stream);
}

void
fio_stream_pause_reading(fio_stream *stream)
{
    if (!stream->paused) {
        stream->paused = true;
        fio_stream_update_watch(stream);
    }
}

void
fio_stream_resume_reading(fio_stream *stream)
{
    if (stream->paused) {
        stream->paused = false;
        if (stream->started && stream->shared && fio_stream_descriptor(stream) < 0) {
            /* The kernel, which may still be told to watch it, would never say so. */
            stream->kind->failed(stream, EBADF, stream->kind->read_error);
            return;
        }
        fio_stream_update_watch(stream);
        if (stream->kind->resumed != NULL && fio_stream_is_reading(stream)) {
            stream->kind->resumed(stream);
        }
    }
}

/* -- reading --------------------------------------------------------------------------------------
 */

static ssize_t
stream_receive(fio_stream *stream, char *data, size_t size)
{
    int fd = fio_stream_descriptor(stream);
    if (stream->kind->is_socket) {
        return recv(fd, data, size, 0);
    }
    return read(fd, data, size);
}

void
fio_stream_read_nothing(fio_stream *stream, int err)
{
    if (err == EAGAIN || err == EWOULDBLOCK || err == EINTR) {
        return;
    }
    if (err != 0) {
        stream->kind->failed(stream, err, stream->kind->read_error);
        return;
    }
    stream->kind->ended(stream);
}

bool
fio_stream_end_reading(fio_stream *stream)
{
    if (stream->link == NULL || stream->ended) {
        return false; /* the log's handler has seen to the end */
    }
    stream->ended = true;
    return true;
}

/* asyncio: one read a turn, so that what a protocol asks for runs before more comes in. */
static void
stream_read_once(fio_stream *stream, fio_link *link)
{
    /* Kept: a link may change its functions inside any of them. */
    const fio_link_ops *ops = link->ops;
    char *data = NULL;
    size_t room = 0;
    if (ops->buffer != NULL) {
        data = ops->buffer(link, &room);
    }
    /* asyncio: what get_buffer() gave is filled though it has closed or paused the transport.
     * Interrupted, or all over: what is in the kernel is for the next run. */
    bool wanted = data != NULL ? stream->fd >= 0 : fio_stream_is_reading(stream);
    if (!wanted || stream->loop->fatal != NULL) {
        if (data != NULL && ops->unused != NULL) {
            ops->unused(link);
        }
        return;
    }
    bool in_slab = data == NULL;
    if (in_slab) {
        data = fio_loop_slab(stream->loop);
        room = FIO_LOOP_SLAB_SIZE;
        if (data == NULL) {
            stream->kind->failed(stream, 0, stream->kind->read_error);
            return;
        }
    }
    ssize_t got = stream_receive(stream, data, room);
    if (got > 0) {
        char *slab = fio_loop_keep_slab(stream->loop);
        ops->data(link, data, (size_t)got);
        fio_loop_return_slab(stream->loop, slab);
        return;
    }
    int err = errno;
    if (!in_slab && ops->unused != NULL) {
        ops->unused(link);
    }
    fio_stream_read_nothing(stream, got < 0 ? err : 0);
}

static void
stream_on_readable(fio_stream *stream)
{
    if (stream->kind->reads_are_hangup) {
        fio_stream_read_nothing(stream, 0);
        return;
    }
    if (stream->kind->read != NULL) {
        stream->kind->read(stream);
        return;
    }
    /* The link may be exchanged for another inside the call, and go with the last reference. */
    PyObject *link_owner = Py_NewRef(stream->link_owner);
    stream_read_once(stream, stream->link);
    Py_DECREF(link_owner);
}

static void
stream_on_ready(fio_watch *watch, int events)
{
    fio_stream *stream = FIO_CONTAINER_OF(watch, fio_stream, watch);
    PyObject *owner = Py_NewRef(stream->kind->owner(stream));
    bool before = stream->unattended;
    stream->unattended = true;
    if ((events & UV_READABLE) != 0 && fio_stream_is_reading(stream)) {
        stream_on_readable(stream);
    }
    else if (watch->read_elsewhere || stream->ended) {
        fio_stream_update_watch(stream);
    }
    if ((events & UV_WRITABLE) != 0 && stream->blocked) {
        fio_stream_on_writable(stream);
    }
    stream->unattended = before;
    Py_DECREF(owner);
}

/* What a link does not mind is read while the poll's other events are looked at. */
static int
stream_on_found(fio_watch *watch, int events)
{
    fio_stream *stream = FIO_CONTAINER_OF(watch, fio_stream, watch);
    if ((events & UV_READABLE) != 0 && fio_stream_read_ahead(stream)) {
        events &= ~UV_READABLE;
    }
    return events;
}

/* -- closing --------------------------------------------------------------------------------------
 */

void
fio_stream_close(fio_stream *stream)
{
    if (stream->wire.closing) {
        return;
    }
    /* What a write() before close() could not send has to be known first, as it is on asyncio. */
    fio_stream_flush(stream);
    if (stream->wire.closing) {
        return;
    }
    bool last = fio_stream_unsent(stream) == 0;
    stream->lost_count += last;
    stream->wire.closing = true;
    fio_stream_update_watch(stream);
    if (last) {
        stream->kind->finish(stream, NULL);
    }
}

void
fio_stream_abort(fio_stream *stream)
{
    /* Dropped is what the peer has no room for; on asyncio a write() is tried at once. */
    if (!stream->wire.closing) {
        fio_stream_flush(stream);
    }
    fio_stream_force_close(stream, NULL);
}

void
fio_stream_force_close(fio_stream *stream, PyObject *exc)
{
    if (stream->lost_count > 0) {
        return;
    }
    /* First: what is dropped may be an object that closes us when it goes. */
    stream->lost_count++;
    stream->wire.closing = true;
    fio_stream_drop_output(stream);
    stream->blocked = false;
    fio_stream_update_watch(stream);
    stream->kind->finish(stream, exc);
}

void
fio_stream_dispose(fio_stream *stream)
{
    stream->wire.closing = true;
    stream->blocked = false;
    stream->fd = -1;
    fio_stream_drop_output(stream);
    fio_stream_drop_ahead(stream);
    if (stream->watch.open) {
        /* The watch's memory is in the owner: kept until stream_on_watch_closed(). */
        stream_hold_owner(stream);
        fio_watch_close(&stream->watch);
    }
    if (stream->second_fd >= 0) {
        (void)close(stream->second_fd); /* nothing was written by it */
        stream->second_fd = -1;
    }
}

static void
stream_on_watch_closed(fio_watch *watch)
{
    fio_stream *stream = FIO_CONTAINER_OF(watch, fio_stream, watch);
    stream_release_owner(stream);
}

/* Somebody closed our descriptor, and its number is another file's now; or the socket has been
 * given to a second transport, which hears of it from now on (asyncio before 3.12). */
static void
stream_on_displaced(fio_watch *watch)
{
    fio_stream *stream = FIO_CONTAINER_OF(watch, fio_stream, watch);
    if (stream->second_fd == watch->fd) {
        stream->second_fd = -1; /* not to be closed: the number is another file's */
    }
    PyObject *owner = stream->kind->owner(stream);
    if (!fio_try_ref(owner)) {
        return;
    }
    if (watch->open && watch->yields) {
        stream_hold_owner(stream);
        fio_watch_close(watch);
    }
    else if (stream->shared && fio_stream_descriptor(stream) >= 0) {
        stream_release_owner(stream);
    }
    else {
        stream->fd = -1;
        stream->kind->failed(stream, EBADF, stream->kind->read_error);
    }
    Py_DECREF(owner);
}
