/* buf.c - growing bytes with a maximum */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUF_FIRST_CAP = 256 };

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

void
buf_shrink(struct buf *b, size_t keep)
{
	if (b->cap > keep) {
		size_t max = b->max;
		buf_release(b);
		buf_init(b, max);
	}
	buf_reset(b);
}

bool
buf_reserve(struct buf *b, size_t extra)
{
	if (extra <= b->cap - b->len)
		return true;
	if (b->len > b->max || extra > b->max - b->len) {
		b->failed = true;
		return false;
	}
	size_t need = b->len + extra;
	size_t cap = b->cap > BUF_FIRST_CAP ? b->cap : BUF_FIRST_CAP;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max)
		cap = b->max;
	char *data = realloc(b->data, cap + 1); /* one more, for the NUL of buf_peek() */
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void
buf_give_back(struct buf *b, size_t n)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)b->data + page - 1) / page * page; /* the allocator's own may lie before it */
	uintptr_t end = ((uintptr_t)b->data + n) / page * page;

	if (b->data != NULL && end > first)
		(void)madvise(b->data + (first - (uintptr_t)b->data), end - first, MADV_DONTNEED);
}

void
buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0 || !buf_reserve(b, len))
		return;
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
}

void
buf_str(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_integer(struct buf *b, long long value)
{
	char digits[24];
	char *p = digits + sizeof digits;
	unsigned long long rest = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--p = '-';
	buf_add(b, p, (size_t)(digits + sizeof digits - p));
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof text)
		b->failed = true;
	else
		buf_add(b, text, (size_t)len);
}

const char *
buf_peek(struct buf *b)
{
	if (b->data == NULL)
		return "";
	b->data[b->len] = '\0';
	return b->data;
}
