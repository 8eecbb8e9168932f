#ifndef FIO_BASE_BASE_H
#define FIO_BASE_BASE_H

/* What every C file of fastaio includes first: Python's headers and the words in which
 * declarations state who owns what. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

#include "base/compat.h"

/* Ownership, for the reader: a returned PyObject* is a new reference unless the declaration
 * says FIO_BORROWED; an argument is borrowed unless it says FIO_STEALS. */
#define FIO_BORROWED
#define FIO_STEALS

#define FIO_MUST_CHECK __attribute__((warn_unused_result))
#define FIO_LIKELY(x) __builtin_expect(!!(x), 1)
#define FIO_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Of a function that ordinary programs never call: it stays out of those that call it. */
#define FIO_COLD __attribute__((cold, noinline))

/* Has the memory at `ptr` fetched that will soon be read; any address will do. */
#define FIO_PREFETCH(ptr) __builtin_prefetch((const void *)(ptr))

/* The struct of type `type` whose `member` is at `ptr` (how an embedded part finds its owner). */
#define FIO_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* A METH_FASTCALL function as a PyCFunction, for method tables. */
#define FIO_METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* For the members of Python's tables that are not const though nobody writes through them. */
#define FIO_UNCONST(ptr) ((void *)(uintptr_t)(ptr))

/* Bytes that somebody else owns; every declaration of one says who and for how long. */
typedef struct {
    const char *base;
    size_t size;
} fio_view;

#endif
