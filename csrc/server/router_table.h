#ifndef FIO_SERVER_ROUTER_TABLE_H
#define FIO_SERVER_ROUTER_TABLE_H

/* The inside of a Router, between router.c (building, the Python type) and router_match.c. As in
 * aiohttp's UrlDispatcher a resource is filed under its literal part up to its first variable's
 * segment; a path is looked up under itself, then without its last segment, and so on up to "/",
 * and among the resources of one key the one registered first decides. */

#include "server/router.h"

/* Segments of the longest key. Keys are an application's own; deeper ones are refused. */
#define FIO_ROUTE_DEPTH 32
/* Segments of a path with variables that is matched without a regular expression. */
#define FIO_ROUTE_SEGMENTS 32

#define FIO_NO_PROBE UINT16_MAX

#define FIO_METHOD_ANY FIO_METHOD_COUNT

typedef enum {
    FIO_ENTRY_PLAIN,   /* the path itself */
    FIO_ENTRY_DYNAMIC, /* segments with at most one {name} each */
    FIO_ENTRY_PATTERN, /* a compiled regular expression of Python's re */
    FIO_ENTRY_PREFIX,  /* all below a path: a folder of files */
    FIO_ENTRY_ROUTER,  /* all below a path: another router's */
} fio_entry_kind;

/* One segment of a dynamic path: head{name}tail, or only head. */
typedef struct {
    fio_view head; /* of the entry's text */
    fio_view tail;
    bool variable;
} fio_segment;

typedef struct fio_entry {
    struct fio_entry *next; /* owned: registered later under the same key */
    uint8_t kind;           /* fio_entry_kind */
    uint8_t method;         /* fio_method or FIO_METHOD_ANY */
    uint16_t segment_count;
    PyObject *method_name; /* owned str, NULL for ROUTER */
    FioRoute *route;       /* owned, NULL for ROUTER */
    PyObject *pattern;     /* owned: its fullmatch method, PATTERN only */
    FioRouter *router;     /* owned, ROUTER only */
    char *text;            /* owned: the path */
    size_t text_size;
    fio_segment *segments; /* owned, DYNAMIC only */
    /* The last of them that has no variable, and its hash: what tells routes of one shape apart
     * before anything else is compared. FIO_NO_PROBE: all have variables. */
    uint16_t probe;
    uint32_t probe_hash;
} fio_entry;

typedef struct {
    char *key; /* owned, NULL: a free place */
    size_t size;
    uint32_t hash;
    fio_entry *first; /* owned */
    fio_entry *last;
} fio_slot;

/* A router tried before all keys because of the Host field. */
typedef struct fio_rule {
    struct fio_rule *next; /* owned */
    PyObject *matches;     /* owned: matches(host: str) -> bool */
    FioRouter *router;     /* owned */
} fio_rule;

struct FioRouter {
    PyObject_HEAD
    fio_state *st;
    fio_slot *slots; /* owned: open addressing, a power of two of them */
    size_t capacity;
    size_t used;
    size_t depth; /* segments of the longest key */
    fio_rule *rules;
    PyObject *match_info; /* owned: type for the routes made by add() */
    FioRoute *not_found;  /* owned or NULL */
    PyObject *refuse;     /* owned or NULL: refuse(method, allowed) -> Route for 405 */
};

#define FIO_HASH_START 2166136261U

/* FNV-1a: keys are the application's own, so nobody else chooses what collides. */
static inline uint32_t
fio_hash_step(uint32_t hash, char c)
{
    return (hash ^ (unsigned char)c) * 16777619U;
}

static inline uint32_t
fio_hash_text(fio_view text)
{
    uint32_t hash = FIO_HASH_START;
    for (size_t i = 0; i < text.size; i++) {
        hash = fio_hash_step(hash, text.base[i]);
    }
    return hash;
}

/* The slot of a key, or the free one where it belongs; capacity must not be 0. */
static inline fio_slot *
fio_router_slot(const FioRouter *router, const char *key, size_t size, uint32_t hash)
{
    for (size_t i = hash;; i++) {
        fio_slot *slot = &router->slots[i & (router->capacity - 1)];
        if (slot->key == NULL
            || (slot->hash == hash && slot->size == size && memcmp(slot->key, key, size) == 0)) {
            return slot;
        }
    }
}

#endif
