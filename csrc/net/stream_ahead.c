/* Input of many streams, read right after the poll and handed over in each one's turn. */

#include "net/stream_ahead.h"

#include <errno.h>
#include <sys/socket.h>

/* Streams read ahead of one poll, and the bytes there are for them all. A read gets AHEAD_ROOM at
 * least: what is larger is left to a read of its own, in its turn. */
#define AHEAD_STREAMS 128
#define AHEAD_SIZE ((size_t)128 * 1024)
#define AHEAD_ROOM ((size_t)16 * 1024)

struct fio_ahead {
    fio_deferred turn;
    fio_stream *stream; /* borrowed: it drops us when it ends */
    fio_read_ahead *all;
    const char *data;
    ssize_t got; /* as recv() returned it */
    int err;     /* errno with it */
};

struct fio_read_ahead {
    fio_loop_input base; /* first */
    size_t taken;        /* of the streams there is room for */
    size_t live;         /* of those, the ones that wait for their turn or are in it */
    size_t filled;       /* bytes */
    struct fio_ahead streams[AHEAD_STREAMS];
    char bytes[AHEAD_SIZE];
};

static void
ahead_release(fio_read_ahead *all)
{
    all->live--;
    if (all->live == 0) {
        all->taken = 0;
        all->filled = 0;
    }
}

static void
ahead_drop_all(FioLoop *loop)
{
    fio_read_ahead *all = (fio_read_ahead *)loop->input;
    for (size_t i = 0; i < all->taken; i++) {
        if (all->streams[i].stream != NULL) {
            fio_stream_drop_ahead(all->streams[i].stream);
        }
    }
}

/* Gives bytes to a link that may have become one that reads into a place of its own. */
static void
ahead_hand_over(fio_stream *stream, const char *data, size_t size)
{
    fio_link *link = stream->link;
    const fio_link_ops *ops = link->ops;
    if (ops->buffer == NULL) {
        ops->data(link, data, size);
        return;
    }
    while (size > 0 && fio_stream_is_open(stream) && stream->link == link) {
        size_t room = 0;
        char *place = ops->buffer(link, &room);
        if (!fio_stream_is_open(stream) || stream->loop->fatal != NULL) {
            if (place != NULL && ops->unused != NULL) {
                ops->unused(link);
            }
            return;
        }
        size_t step = place == NULL || room > size ? size : room;
        if (place != NULL) {
            memcpy(place, data, step);
        }
        ops->data(link, place == NULL ? data : place, step);
        data += step;
        size -= step;
    }
}

/* Takes what was read for `stream` from it and hands it over. */
static void
ahead_deliver(struct fio_ahead *ahead)
{
    fio_stream *stream = ahead->stream;
    PyObject *owner = stream->kind->owner(stream);
    ahead->stream = NULL;
    stream->ahead = NULL;
    if (!fio_try_ref(owner)) {
        ahead_release(ahead->all);
        return;
    }
    PyObject *link_owner = Py_NewRef(stream->link_owner);
    if (stream->started && !stream->ended && !stream->wire.closing) {
        if (ahead->got > 0) {
            ahead_hand_over(stream, ahead->data, (size_t)ahead->got);
        }
        else {
            fio_stream_read_nothing(stream, ahead->got < 0 ? ahead->err : 0);
        }
    }
    ahead_release(ahead->all);
    Py_DECREF(link_owner);
    Py_DECREF(owner);
}

static void
ahead_on_turn(fio_deferred *turn)
{
    ahead_deliver(FIO_CONTAINER_OF(turn, struct fio_ahead, turn));
}

void
fio_stream_deliver_ahead(fio_stream *stream)
{
    if (stream->ahead != NULL) {
        fio_loop_undefer(stream->loop, &stream->ahead->turn);
        ahead_deliver(stream->ahead);
    }
}

void
fio_stream_drop_ahead(fio_stream *stream)
{
    struct fio_ahead *ahead = stream->ahead;
    if (ahead != NULL) {
        stream->ahead = NULL;
        ahead->stream = NULL;
        fio_loop_undefer(stream->loop, &ahead->turn);
        ahead_release(ahead->all);
    }
}

/* The loop's bytes; NULL: no memory for them, or none left. */
static fio_read_ahead *
ahead_room(FioLoop *loop)
{
    fio_read_ahead *all = (fio_read_ahead *)loop->input;
    if (all == NULL) {
        all = PyMem_Malloc(sizeof(*all));
        if (all == NULL) {
            return NULL;
        }
        all->base.drop = ahead_drop_all;
        all->taken = 0;
        all->live = 0;
        all->filled = 0;
        loop->input = &all->base;
    }
    return all->taken < AHEAD_STREAMS && AHEAD_SIZE - all->filled >= AHEAD_ROOM ? all : NULL;
}

bool
fio_stream_read_ahead(fio_stream *stream)
{
    const fio_link_ops *ops = stream->link->ops;
    if (stream->ahead != NULL || stream->shared || !stream->kind->is_socket
        || stream->kind->read != NULL || ops->reads_ahead == NULL
        || !ops->reads_ahead(stream->link)) {
        return false;
    }
    FioLoop *loop = stream->loop;
    fio_read_ahead *all = ahead_room(loop);
    if (all == NULL) {
        return false;
    }
    struct fio_ahead *ahead = &all->streams[all->taken];
    ahead->turn = (fio_deferred){.run = ahead_on_turn};
    if (fio_loop_defer(loop, &ahead->turn) < 0) {
        PyErr_Clear();
        return false;
    }
    ahead->data = all->bytes + all->filled;
    ahead->got = recv(stream->fd, all->bytes + all->filled, AHEAD_SIZE - all->filled, 0);
    ahead->err = errno;
    ahead->stream = stream;
    ahead->all = all;
    stream->ahead = ahead;
    all->taken++;
    all->live++;
    if (ahead->got > 0) {
        /* The parser reads words: the next one's bytes begin with a line of the cache. */
        all->filled += ((size_t)ahead->got + 63) & ~(size_t)63;
    }
    return true;
}
