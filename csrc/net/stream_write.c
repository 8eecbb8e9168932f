/* The write side of a byte stream: output is gathered for the rest of the turn and handed to the
 * kernel in one call; what it refuses waits for the descriptor to become writable. Large bytes are
 * queued by reference, files are sent by sendfile(2), and a stream with nothing to send holds no
 * memory for it. */

#include "net/stream.h"

#include "base/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pieces handed over by one sendmsg(2) or writev(2): the array lives on the C stack (1 KiB), and
 * more pieces a call gain nothing that can be measured. */
#define WRITE_BATCH 64

/* Gathered output above this is sent without waiting for the turn's end: half of a socket's usual
 * send buffer, so that the kernel works while we go on. */
#define WRITE_CORK_SIZE ((size_t)64 * 1024)

/* Bytes at least this long are queued by reference; shorter ones that follow others are copied
 * behind them, which costs less than a piece of their own. */
#define WRITE_COPY_BELOW 2048

/* Bytes queued by reference above this are sent at once: they are still in the processor's cache,
 * and a hundred connections that all hold theirs until the turn's end make the heap grow and shrink
 * in every turn. */
#define WRITE_DIRECT_SIZE ((size_t)2048)

/* Calls to the kernel a turn for one stream: a reader as fast as we are must not hold the loop. */
#define WRITE_CALLS_A_TURN 16

/* Bytes of a file for one sendfile(2): the call may read a disk, so it is kept short. */
#define WRITE_FILE_STEP ((size_t)512 * 1024)

static void stream_on_turn_end(fio_turn_end *work);

/* -- the queue ------------------------------------------------------------------------------------
 */

static void
chunk_release(fio_chunk *chunk)
{
    switch (chunk->kind) {
    case FIO_CHUNK_OBJECT:
        Py_CLEAR(chunk->owner.object);
        break;
    case FIO_CHUNK_MEMORY:
        PyMem_Free(chunk->owner.memory);
        break;
    case FIO_CHUNK_FILE:
        /* A duplicate for reading only: close(2) has nothing to report. */
        (void)close(chunk->fd);
        break;
    }
}

static fio_chunk *
queue_first(const fio_stream *stream)
{
    return &stream->chunks[stream->chunk_head];
}

static int
queue_grow(fio_stream *stream)
{
    uint32_t count = stream->chunk_count;
    uint32_t capacity = stream->chunk_capacity;
    if (stream->chunk_head > 0 && count <= capacity / 2) {
        memmove(stream->chunks, queue_first(stream), count * sizeof(fio_chunk));
        stream->chunk_head = 0;
        return 0;
    }
    if (capacity > UINT32_MAX / 2) {
        PyErr_NoMemory();
        return -1;
    }
    capacity = capacity < 8 ? 8 : capacity * 2;
    fio_chunk *chunks = PyMem_New(fio_chunk, capacity);
    if (chunks == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(chunks, queue_first(stream), count * sizeof(fio_chunk));
    if (stream->chunks != &stream->one) {
        PyMem_Free(stream->chunks);
    }
    stream->chunks = chunks;
    stream->chunk_head = 0;
    stream->chunk_capacity = capacity;
    return 0;
}

/* Takes over what `chunk` owns; on -1 the caller still owns it. */
static int
queue_push(fio_stream *stream, const fio_chunk *chunk)
{
    if (stream->chunk_head + stream->chunk_count == stream->chunk_capacity
        && queue_grow(stream) < 0) {
        return -1;
    }
    stream->chunks[stream->chunk_head + stream->chunk_count] = *chunk;
    stream->chunk_count++;
    stream->queued += chunk->size;
    return 0;
}

/* Gives the memory of an emptied queue back. */
static void
queue_reset(fio_stream *stream)
{
    if (stream->chunks != &stream->one) {
        PyMem_Free(stream->chunks);
        stream->chunks = &stream->one;
        stream->chunk_capacity = 1;
    }
    stream->chunk_head = 0;
}

static void
queue_pop(fio_stream *stream)
{
    /* Taken out first: releasing an object can run anything. */
    fio_chunk chunk = *queue_first(stream);
    stream->queued -= chunk.size;
    stream->chunk_head++;
    stream->chunk_count--;
    if (stream->chunk_count == 0) {
        queue_reset(stream);
    }
    chunk_release(&chunk);
}

/* Makes the gathered bytes a chunk of the queue, so that something can be queued behind them. */
static int
queue_seal_gathered(fio_stream *stream)
{
    fio_buf *out = &stream->wire.out;
    if (fio_buf_size(out) == 0) {
        return 0;
    }
    char *memory = out->base;
    fio_chunk chunk = {.kind = FIO_CHUNK_MEMORY,
                       .size = fio_buf_size(out),
                       .at.data = fio_buf_data(out),
                       .owner.memory = memory};
    if (queue_push(stream, &chunk) < 0) {
        return -1;
    }
    *out = (fio_buf){0};
    return 0;
}

int
fio_stream_queue(fio_stream *stream, const char *data, size_t size, PyObject *owner)
{
    if (size < WRITE_COPY_BELOW && fio_stream_unsent(stream) > 0) {
        return fio_buf_append(&stream->wire.out, data, size);
    }
    if (queue_seal_gathered(stream) < 0) {
        return -1;
    }
    fio_chunk chunk = {
        .kind = FIO_CHUNK_OBJECT, .size = size, .at.data = data, .owner.object = Py_NewRef(owner)};
    if (queue_push(stream, &chunk) < 0) {
        Py_DECREF(owner);
        return -1;
    }
    return 0;
}

int
fio_stream_queue_copy(fio_stream *stream, const char *data, size_t size)
{
    if (size < WRITE_COPY_BELOW) {
        return fio_buf_append(&stream->wire.out, data, size);
    }
    PyObject *copy = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    if (copy == NULL) {
        return -1;
    }
    int result = fio_stream_queue(stream, PyBytes_AS_STRING(copy), size, copy);
    Py_DECREF(copy);
    return result;
}

/* fio_wire_ops.send_file */
static int
stream_queue_file(fio_stream *stream, int fd, int64_t offset, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (queue_seal_gathered(stream) < 0) {
        return -1;
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    fio_chunk chunk = {.kind = FIO_CHUNK_FILE, .fd = copy, .size = size, .at.offset = offset};
    if (queue_push(stream, &chunk) < 0) {
        chunk_release(&chunk);
        return -1;
    }
    return 0;
}

void
fio_stream_drop_output(fio_stream *stream)
{
    stream->drops++;
    fio_list_remove(&stream->turn_end.node);
    fio_buf_free(&stream->wire.out);
    if (stream->kind != NULL && stream->kind->drop_output != NULL) {
        stream->kind->drop_output(stream);
    }
    while (stream->chunk_count > 0) {
        queue_pop(stream);
    }
    queue_reset(stream);
}

int
fio_stream_traverse(fio_stream *stream, visitproc visit, void *arg)
{
    for (uint32_t i = 0; i < stream->chunk_count; i++) {
        const fio_chunk *chunk = queue_first(stream) + i;
        if (chunk->kind == FIO_CHUNK_OBJECT) {
            Py_VISIT(chunk->owner.object);
        }
    }
    return 0;
}

/* -- to the kernel --------------------------------------------------------------------------------
 */

/* The pieces up to the first file, as far as they fit; *bytes is their sum. */
static int
stream_gather(const fio_stream *stream, struct iovec *pieces, size_t *bytes)
{
    int count = 0;
    uint32_t i = 0;
    *bytes = 0;
    for (; i < stream->chunk_count && count < WRITE_BATCH; i++) {
        const fio_chunk *chunk = queue_first(stream) + i;
        if (chunk->kind == FIO_CHUNK_FILE) {
            return count;
        }
        pieces[count++] = (struct iovec){.iov_base = FIO_UNCONST(chunk->at.data),
                                         .iov_len = chunk->size};
        *bytes += chunk->size;
    }
    size_t gathered = fio_buf_size(&stream->wire.out);
    if (count < WRITE_BATCH && gathered > 0) {
        pieces[count++] = (struct iovec){.iov_base = fio_buf_data(&stream->wire.out),
                                         .iov_len = gathered};
        *bytes += gathered;
    }
    return count;
}

static ssize_t
stream_send_pieces(fio_stream *stream, struct iovec *pieces, int count, bool more)
{
    int fd = fio_stream_descriptor(stream);
    if (!stream->kind->is_socket) {
        if (count == 1) {
            return write(fd, pieces[0].iov_base, pieces[0].iov_len);
        }
        return writev(fd, pieces, count);
    }
    /* MSG_MORE: a head in front of a file leaves in the file's first segment. */
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    if (count == 1) {
        return send(fd, pieces[0].iov_base, pieces[0].iov_len, flags);
    }
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, flags);
}

/* Takes `size` sent bytes from the front of the output. */
static void
stream_take_sent(fio_stream *stream, size_t size)
{
    const uint32_t drops = stream->drops;
    while (size > 0 && stream->chunk_count > 0) {
        fio_chunk *chunk = queue_first(stream);
        if (chunk->size <= size) {
            size -= chunk->size;
            queue_pop(stream);
            if (FIO_UNLIKELY(stream->drops != drops)) {
                return; /* releasing it has dropped the output: what there is by now is other */
            }
            continue;
        }
        chunk->at.data += size;
        chunk->size -= size;
        stream->queued -= size;
        return;
    }
    fio_buf_take(&stream->wire.out, size);
}

/* Sends bytes: 1 all that was tried, 0 the kernel is full, -1 failed with errno. */
static int
stream_send_bytes(fio_stream *stream)
{
    struct iovec pieces[WRITE_BATCH];
    size_t tried = 0;
    int count = stream_gather(stream, pieces, &tried);
    bool file_follows = (uint32_t)count < stream->chunk_count
                        && queue_first(stream)[count].kind == FIO_CHUNK_FILE;
    ssize_t sent = stream_send_pieces(stream, pieces, count, file_follows);
    if (sent < 0) {
        return -1;
    }
    stream_take_sent(stream, (size_t)sent);
    return (size_t)sent == tried;
}

/* The same for the file at the front. */
static int
stream_send_file_step(fio_stream *stream)
{
    fio_chunk *chunk = queue_first(stream);
    size_t step = chunk->size < WRITE_FILE_STEP ? chunk->size : WRITE_FILE_STEP;
    off_t offset = (off_t)chunk->at.offset;
    ssize_t sent = sendfile(fio_stream_descriptor(stream), chunk->fd, &offset, step);
    if (sent < 0) {
        return -1;
    }
    if (sent == 0) {
        /* The file is shorter than was promised to the peer: only a broken connection tells it. */
        errno = EIO;
        return -1;
    }
    chunk->at.offset += sent;
    chunk->size -= (size_t)sent;
    stream->queued -= (size_t)sent;
    if (chunk->size == 0) {
        queue_pop(stream);
    }
    return (size_t)sent == step;
}

static int
stream_send_step(fio_stream *stream)
{
    if (stream->kind->send_step != NULL) {
        return stream->kind->send_step(stream);
    }
    if (stream->chunk_count > 0 && queue_first(stream)->kind == FIO_CHUNK_FILE) {
        return stream_send_file_step(stream);
    }
    return stream_send_bytes(stream);
}

/* Ends our direction of the connection. 0, or an errno. */
static int
stream_shutdown(fio_stream *stream)
{
    if (stream->eof_sent || stream->wire.closing || stream->fd < 0) {
        return 0;
    }
    stream->eof_sent = true;
    return shutdown(fio_stream_descriptor(stream), SHUT_WR) < 0 ? errno : 0;
}

/* All output is out: memory back, and the end of the stream's writing if it was asked for. */
static void
stream_on_drained(fio_stream *stream)
{
    fio_buf_free(&stream->wire.out);
    if (stream->eof_wanted) {
        int err = stream_shutdown(stream);
        if (err != 0) {
            stream->kind->failed(stream, err, stream->kind->write_error);
        }
    }
    if (stream->kind->drained != NULL && stream->lost_count == 0) {
        stream->kind->drained(stream);
    }
}

/* fio_stream_flush() but for the end of a closing stream. */
static void
stream_send_all(fio_stream *stream)
{
    fio_list_remove(&stream->turn_end.node);
    if (stream->blocked || stream->in_flush || stream->lost_count > 0
        || fio_stream_unsent(stream) == 0) {
        return;
    }
    int calls = 0;
    stream->in_flush = true;
    while (fio_stream_unsent(stream) > 0) {
        int status = calls++ < WRITE_CALLS_A_TURN ? stream_send_step(stream) : 0;
        int err = status < 0 ? errno : 0;
        if (status > 0 || err == EINTR) {
            continue;
        }
        if (status == 0 || err == EAGAIN || err == EWOULDBLOCK) {
            stream->blocked = true;
            fio_stream_update_watch(stream);
        }
        else {
            stream->lost_writes += !stream->kind->is_socket; /* as a pipe of asyncio's counts */
            stream->kind->failed(stream, err, stream->kind->write_error);
        }
        stream->in_flush = false;
        fio_stream_check_high_water(stream);
        return;
    }
    stream->in_flush = false;
    if (stream->lost_count == 0) {
        stream_on_drained(stream);
    }
    fio_stream_check_high_water(stream);
}

/* The last step of close(): nothing is left to send. */
static bool
stream_takes_leave(fio_stream *stream)
{
    bool last = stream->wire.closing && stream->lost_count == 0 && !stream->in_flush
                && fio_stream_unsent(stream) == 0;
    if (last) {
        stream->lost_count++;
        fio_stream_update_watch(stream);
    }
    return last;
}

void
fio_stream_flush(fio_stream *stream)
{
    stream_send_all(stream);
    if (stream_takes_leave(stream)) {
        stream->kind->finish(stream, NULL); /* close() was called by something that was sent */
    }
}

static void
stream_on_turn_end(fio_turn_end *work)
{
    fio_stream *stream = FIO_CONTAINER_OF(work, fio_stream, turn_end);
    PyObject *owner = stream->kind->owner(stream);
    if (!fio_try_ref(owner)) {
        return;
    }
    bool before = stream->unattended;
    stream->unattended = true;
    fio_stream_flush(stream);
    stream->unattended = before;
    Py_DECREF(owner);
}

static void
stream_pause_link(fio_stream *stream, bool pause)
{
    fio_link *link = stream->link;
    if (link == NULL) {
        return;
    }
    PyObject *link_owner = Py_NewRef(stream->link_owner);
    stream->link_paused = pause;
    if (pause) {
        link->ops->pause_writing(link);
    }
    else {
        link->ops->resume_writing(link);
    }
    Py_DECREF(link_owner);
}

void
fio_stream_on_writable(fio_stream *stream)
{
    stream->blocked = false;
    stream_send_all(stream);
    if (!stream->blocked) {
        fio_stream_update_watch(stream);
    }
    /* asyncio: a pipe's writer goes on only once all is out. */
    size_t low_water = stream->kind->is_socket ? stream->low_water : 0;
    /* Resumed before the end: the link may have more to write, even after close(). */
    if (stream->lost_count == 0 && stream->link_paused && stream->low_water != FIO_STREAM_NEVER
        && fio_stream_unsent(stream) <= low_water) {
        stream_pause_link(stream, false);
    }
    if (stream_takes_leave(stream)) {
        stream->kind->finish_now(stream);
    }
}

void
fio_stream_check_high_water(fio_stream *stream)
{
    /* Not out of what a flush releases: it may send that, too. */
    if (!stream->link_paused && !stream->in_flush && fio_stream_unsent(stream) > stream->high_water
        && stream->lost_count == 0) {
        stream_pause_link(stream, true);
    }
}

void
fio_stream_commit(fio_stream *stream)
{
    size_t unsent = fio_stream_unsent(stream);
    if (stream->lost_count > 0) {
        fio_stream_drop_output(stream);
        return;
    }
    /* A pipe has nothing to gain: its reader is told of bytes one by one anyway. And outside of a
     * run nobody knows whether there will be another turn. */
    const FioLoop *loop = stream->loop;
    if (!stream->kind->is_socket || !loop->running || loop->left_behind
        || stream->queued >= WRITE_DIRECT_SIZE || unsent >= WRITE_CORK_SIZE
        || unsent > stream->high_water) {
        fio_stream_flush(stream);
        fio_stream_check_high_water(stream);
        return;
    }
    if (!stream->blocked) {
        stream->turn_end.run = stream_on_turn_end;
        fio_loop_at_turn_end(stream->loop, &stream->turn_end);
    }
}

int
fio_stream_write_eof(fio_stream *stream)
{
    if (stream->wire.closing || stream->eof_wanted) {
        return 0;
    }
    fio_stream_flush(stream);
    if (stream->wire.closing) {
        return 0; /* what was written before has failed */
    }
    stream->eof_wanted = true;
    int err = fio_stream_unsent(stream) == 0 ? stream_shutdown(stream) : 0;
    if (err != 0) {
        fio_raise_errno(err);
        return -1;
    }
    return 0;
}

/* -- the wire's functions -------------------------------------------------------------------------
 */

static fio_stream *
stream_of_wire(fio_wire *wire)
{
    return FIO_CONTAINER_OF(wire, fio_stream, wire);
}

/* The same with its owner held: links call from anywhere, and a call may be the end of the stream.
 */
static fio_stream *
stream_hold(fio_wire *wire)
{
    fio_stream *stream = stream_of_wire(wire);
    Py_INCREF(stream->kind->owner(stream));
    return stream;
}

static void
stream_unhold(fio_stream *stream)
{
    Py_DECREF(stream->kind->owner(stream));
}

static void
wire_commit(fio_wire *wire)
{
    fio_stream *stream = stream_hold(wire);
    fio_stream_commit(stream);
    stream_unhold(stream);
}

static void
wire_flush(fio_wire *wire)
{
    fio_stream *stream = stream_hold(wire);
    fio_stream_flush(stream);
    fio_stream_check_high_water(stream);
    stream_unhold(stream);
}

static int
wire_send(fio_wire *wire, const char *data, size_t size, PyObject *owner)
{
    fio_stream *stream = stream_hold(wire);
    int result = fio_stream_queue(stream, data, size, owner);
    if (result == 0) {
        fio_stream_commit(stream);
    }
    stream_unhold(stream);
    return result;
}

static int
wire_send_file(fio_wire *wire, int fd, int64_t offset, size_t size)
{
    fio_stream *stream = stream_hold(wire);
    int result = stream_queue_file(stream, fd, offset, size);
    if (result == 0) {
        fio_stream_commit(stream);
    }
    stream_unhold(stream);
    return result;
}

static void
wire_close(fio_wire *wire)
{
    fio_stream *stream = stream_hold(wire);
    fio_stream_close(stream);
    stream_unhold(stream);
}

static void
wire_abort(fio_wire *wire)
{
    fio_stream *stream = stream_hold(wire);
    fio_stream_abort(stream);
    stream_unhold(stream);
}

static void
wire_pause_reading(fio_wire *wire)
{
    fio_stream_pause_reading(stream_of_wire(wire));
}

static void
wire_resume_reading(fio_wire *wire)
{
    fio_stream *stream = stream_hold(wire);
    fio_stream_resume_reading(stream);
    stream_unhold(stream);
}

static size_t
wire_unsent(fio_wire *wire)
{
    return fio_stream_unsent(stream_of_wire(wire));
}

const fio_wire_ops fio_stream_wire_ops = {
    .commit = wire_commit,
    .flush = wire_flush,
    .send = wire_send,
    .send_file = wire_send_file,
    .close = wire_close,
    .abort = wire_abort,
    .pause_reading = wire_pause_reading,
    .resume_reading = wire_resume_reading,
    .unsent = wire_unsent,
};
