#ifndef FIO_NET_STREAM_H
#define FIO_NET_STREAM_H

/* A byte stream on a descriptor of ours (TCP, Unix socket, pipe, terminal): the wire that a link
 * writes to, and the reads that feed it. It knows bytes, water marks and the order of closing; what
 * is Python about a transport (arguments, reports, connection_lost) is its owner's, reached through
 * fio_stream_kind.
 *
 * The owner embeds it, keeps `link` and `loop` alive, and holds a reference to itself over every
 * call into the stream. The stream holds one reference to the owner while the descriptor is
 * watched, as a selector would. */

#include "loop/loop.h"
#include "net/link.h"

/* Unsent output above and below which a link is paused and resumed, in bytes: asyncio's defaults
 * (transports._FlowControlMixin). */
#define FIO_STREAM_HIGH_WATER ((size_t)64 * 1024)
#define FIO_STREAM_LOW_WATER ((size_t)16 * 1024)

typedef struct fio_stream fio_stream;

/* What a stream asks of the object it lives in; none of these raises. */
typedef struct {
    /* The object itself, for references. */
    FIO_BORROWED PyObject *(*owner)(fio_stream *stream);
    /* A system call failed with errno `err`, or, with `err` 0, an exception is set. The owner
     * reports it with `message` and ends the stream by fio_stream_force_close(). */
    void (*failed)(fio_stream *stream, int err, const char *message);
    /* The peer closed its side; called once, reading has stopped. */
    void (*ended)(fio_stream *stream);
    /* The stream is closed as far as its user is concerned: schedule the end (`lost`, then the
     * descriptor) for the next turn. `exc` may be NULL. */
    void (*finish)(fio_stream *stream, PyObject *exc);
    /* Asked of a `shared` stream: is the descriptor still the one of its socket object? */
    bool (*has_descriptor)(fio_stream *stream);
    /* The same there and then: the loop has come to send the last of the output. */
    void (*finish_now)(fio_stream *stream);
    /* All output left for the kernel (also after write_eof's shutdown). NULL: nobody cares. */
    void (*drained)(fio_stream *stream);
    /* A stream of messages: reads what has come, instead of recv() into the link. Else NULL. */
    void (*read)(fio_stream *stream);
    /* A stream of messages: sends some of its own queue, whose weight it keeps in `queued`: 1 go
     * on, 0 the kernel is full, -1 failed with errno. Else NULL. */
    int (*send_step)(fio_stream *stream);
    /* A stream of messages: empties that queue. Else NULL. */
    void (*drop_output)(fio_stream *stream);
    /* Reading goes on after a pause: the poll may know nothing of what waits. Else NULL. */
    void (*resumed)(fio_stream *stream);
    const char *read_error;  /* messages for failed() */
    const char *write_error; /* likewise */
    bool is_socket;          /* recv and sendmsg; else read and writev */
    bool reports_errors;     /* an OSError goes to the exception handler too, but for EIO */
    bool reads_are_hangup;   /* the write end of a pipe: readable means that the peer is gone */
} fio_stream_kind;

typedef enum { FIO_CHUNK_OBJECT, FIO_CHUNK_MEMORY, FIO_CHUNK_FILE } fio_chunk_kind;

/* A piece of queued output. */
typedef struct {
    fio_chunk_kind kind;
    int fd;      /* FILE: owned duplicate */
    size_t size; /* bytes still to be sent */
    union {
        const char *data; /* OBJECT, MEMORY: the next byte */
        int64_t offset;   /* FILE: likewise */
    } at;
    union {
        PyObject *object; /* OBJECT: owned, keeps data alive and unchanged */
        char *memory;     /* MEMORY: owned, PyMem */
    } owner;
} fio_chunk;

typedef struct fio_read_ahead fio_read_ahead;

struct fio_stream {
    fio_wire wire; /* first: what the link is given */
    fio_watch watch;
    fio_turn_end turn_end;
    const fio_stream_kind *kind;
    fio_link *link;       /* borrowed from the owner; read again after every call out */
    PyObject *link_owner; /* borrowed: the object that link lives in, held over calls of it */
    FioLoop *loop;        /* borrowed from the owner */
    fio_chunk *chunks;    /* queued output in front of wire.out: `one`, or owned memory */
    fio_chunk one;        /* room for the usual single chunk */
    uint32_t chunk_head;  /* index of the first */
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint32_t lost_count;     /* > 0: finish() was called */
    uint32_t lost_writes;    /* writes to nowhere */
    uint32_t drops;          /* how often the output was dropped */
    size_t queued;           /* bytes in the chunks */
    struct fio_ahead *ahead; /* what was read and waits for its turn (stream_ahead.c), or NULL */
    size_t high_water;
    size_t low_water;   /* or FIO_STREAM_NEVER: none that the output comes down to */
    int fd;             /* borrowed from the owner; -1 once closed */
    int second_fd;      /* owned: a duplicate that is watched, or -1 (stream_open_watch()) */
    bool never_reads;   /* nothing can be read, not even a hangup */
    bool started;       /* reading was allowed: connected() has been called */
    bool paused;        /* pause_reading() */
    bool ended;         /* the peer's end was seen */
    bool blocked;       /* the kernel took no more: waiting for writable */
    bool shared;        /* a program may close the descriptor by a socket object it has */
    bool eof_wanted;    /* write_eof(): shut down once output is out */
    bool eof_sent;      /* and that was done */
    bool link_paused;   /* pause_writing() was called last */
    bool in_flush;      /* guards against flushing from within */
    bool holds_owner;   /* the reference of a watched descriptor */
    bool unattended;    /* the loop has come to us: nobody's call, nobody's context */
    uint32_t bulk_size; /* of the object the next large read goes into, or 0 (bridge.c) */
};

#define FIO_STREAM_NEVER SIZE_MAX

/* Fills a zeroed stream; `fd` is non-blocking from the first watch on. */
void fio_stream_init(fio_stream *stream, const fio_stream_kind *kind, FioLoop *loop, int fd);

/* The descriptor for the next system call; -1, so that the call fails with EBADF, where the program
 * has closed it: its number may be another file's by now. */
static inline int
fio_stream_descriptor(fio_stream *stream)
{
    if (FIO_UNLIKELY(stream->shared) && !stream->kind->has_descriptor(stream)) {
        return -1;
    }
    return stream->fd;
}

/* Allows reading: called once connected() has returned. */
void fio_stream_start(fio_stream *stream);

bool fio_stream_is_reading(const fio_stream *stream);

/* The end has not been scheduled yet: the link is there to be called. */
static inline bool
fio_stream_is_open(const fio_stream *stream)
{
    return stream->lost_count == 0;
}

/* What asyncio's `_conn_lost` counts: on sockets the end, too. */
static inline uint32_t
fio_stream_conn_lost(const fio_stream *stream)
{
    return stream->lost_writes + (stream->kind->is_socket ? stream->lost_count : 0);
}

void fio_stream_pause_reading(fio_stream *stream);
void fio_stream_resume_reading(fio_stream *stream);

/* asyncio: _SelectorTransport.close, abort, _force_close. Idempotent. */
void fio_stream_close(fio_stream *stream);
void fio_stream_abort(fio_stream *stream);
void fio_stream_force_close(fio_stream *stream, PyObject *exc);

/* A read gave no bytes: the peer's end (`err` 0), or errno. */
void fio_stream_read_nothing(fio_stream *stream, int err);
/* The first that kind->ended() does, after its log. False: that has seen to the end. What has ended
 * is watched until fio_stream_update_watch(), as asyncio's is in eof_received(). */
FIO_MUST_CHECK bool fio_stream_end_reading(fio_stream *stream);

/* Ends the watch and drops all output: the descriptor may be closed afterwards. The owner's last
 * call; its memory is needed until the watch's closing has come round (holds_owner). */
void fio_stream_dispose(fio_stream *stream);

/* Sets what is watched for from the stream's state. */
void fio_stream_update_watch(fio_stream *stream);

/* -- output (stream_write.c) --------------------------------------------------------------------
 */

extern const fio_wire_ops fio_stream_wire_ops;

/* Unsent bytes, gathered and queued. */
static inline size_t
fio_stream_unsent(const fio_stream *stream)
{
    return stream->queued + fio_buf_size(&stream->wire.out);
}

/* Queues bytes of `owner` (or a copy of them when they are few and follow others). */
FIO_MUST_CHECK int fio_stream_queue(fio_stream *stream, const char *data, size_t size,
                                    PyObject *owner);
/* Queues a copy of bytes that may change. */
FIO_MUST_CHECK int fio_stream_queue_copy(fio_stream *stream, const char *data, size_t size);

/* Output was added: has it sent at the end of the turn, or now if it is much; pauses the link. */
void fio_stream_commit(fio_stream *stream);
/* Sends what the kernel takes now. */
void fio_stream_flush(fio_stream *stream);
/* The same from the watch: the descriptor is writable. */
void fio_stream_on_writable(fio_stream *stream);
/* Pauses or resumes the link by the water marks. */
void fio_stream_check_high_water(fio_stream *stream);
/* shutdown(SHUT_WR) once all output is out. 0, or -1 with OSError set. */
FIO_MUST_CHECK int fio_stream_write_eof(fio_stream *stream);
void fio_stream_drop_output(fio_stream *stream);
int fio_stream_traverse(fio_stream *stream, visitproc visit, void *arg);

#endif
