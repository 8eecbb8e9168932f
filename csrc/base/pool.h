#ifndef FIO_BASE_POOL_H
#define FIO_BASE_POOL_H

#include "base/base.h"

/* A bounded freelist of equal memory blocks, shared by reference count: the module's state holds
 * it, and so does every object whose memory may go back to it, because a deallocator must not ask
 * for the state (the module may be gone). Empty and without effect where FIO_FREELISTS is 0. */

/* The most blocks kept: the requests of a burst that are alive at once, beyond which the general
 * allocator is no worse. */
#define FIO_POOL_LIMIT 64

typedef struct {
    size_t holders;
    size_t count;
    bool closed; /* by fio_pool_close(): blocks are no longer kept */
    void (*release)(void *block);
    void *blocks[FIO_POOL_LIMIT]; /* owned */
} fio_pool;

/* NULL with MemoryError set. The creator is its first holder. */
FIO_MUST_CHECK fio_pool *fio_pool_new(void);
/* Frees the blocks it keeps and lets go of it; blocks given later are freed. NULL is ignored. */
void fio_pool_close(fio_pool *pool);

static inline fio_pool *
fio_pool_hold(fio_pool *pool)
{
    /* Where nothing is kept, only its creator ever looks into it: no thread has to count. */
    pool->holders += FIO_FREELISTS;
    return pool;
}

static inline void
fio_pool_unhold(fio_pool *pool)
{
    if (FIO_FREELISTS && --pool->holders == 0) {
        PyMem_Free(pool);
    }
}

/* A block given back before, or NULL: allocate one. */
static inline void *
fio_pool_take(fio_pool *pool)
{
    return FIO_FREELISTS && pool->count > 0 ? pool->blocks[--pool->count] : NULL;
}

/* Keeps `block` or frees it by `release`, which is the same for all blocks of a pool. */
static inline void
fio_pool_give(fio_pool *pool, void *block, void (*release)(void *))
{
    if (FIO_FREELISTS && pool->count < FIO_POOL_LIMIT && !pool->closed) {
        pool->release = release;
        pool->blocks[pool->count++] = block;
    }
    else {
        release(block);
    }
}

#endif
