#ifndef FIO_BASE_LIST_H
#define FIO_BASE_LIST_H

/* A doubly linked ring whose nodes live inside their owners: linking and unlinking cost no memory
 * and cannot fail. A list head is a node linked to itself; so is a node that is in no list. */

#include <stdbool.h>

typedef struct fio_node {
    struct fio_node *next;
    struct fio_node *prev;
} fio_node;

static inline void
fio_list_init(fio_node *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool
fio_list_is_empty(const fio_node *head)
{
    return head->next == head;
}

/* Puts `node` (in no list) at the end of the list `head`. */
static inline void
fio_list_append(fio_node *head, fio_node *node)
{
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

/* Takes `node` out of the list it is in, if any. */
static inline void
fio_list_remove(fio_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    fio_list_init(node);
}

#endif
