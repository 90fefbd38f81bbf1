/* heap.h - counts allocations of a thread, to prove that a warm path makes none; for one include in a test program */
#ifndef FUTAIE_HEAP_H
#define FUTAIE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "unit.h"

/* Allocations of this thread by whatever code, and those that futaie's own code asked for directly. */
static _Thread_local volatile size_t heap_all;
static _Thread_local volatile size_t heap_own;

#if UNIT_SANITIZED

/* The sanitizers' allocators call this; whose code asked is not known here. */
void __sanitizer_malloc_hook(const volatile void *p, size_t size);

void
__sanitizer_malloc_hook(const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
	heap_all++;
}

#else

/* Between these lies the program's code, without that of shared libraries. */
extern const char __executable_start[];
extern const char etext[];

/* glibc's allocator under its other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static void
heap_count(const void *caller)
{
	heap_all++;
	heap_own += (const char *)caller >= __executable_start && (const char *)caller < etext;
}

void *
malloc(size_t size)
{
	heap_count(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	heap_count(__builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
	heap_count(__builtin_return_address(0));
	return __libc_realloc(p, size);
}

#endif

/* Starts to count anew, after a look whether counting works at all. */
static inline void
heap_start(void)
{
	size_t before = heap_all;
	void *volatile p = malloc(1);

	free(p);
	assert_int_equal(heap_all, before + 1);
	heap_all = 0;
	heap_own = 0;
}

#endif
