/*
 * fault.c - ends a program at one of its changes of files, or lets that change fail: an LD_PRELOAD library
 *
 * It counts the calls that change files: open(2) with O_CREAT, write(2), fsync(2), rename(2), mkdir(2), mkdtemp(3), unlink(2), rmdir(2) and
 * remove(3). FAULT_AT is the number of the call, from 1, that does not come off; 0 only counts. FAULT_ERRNO is the error that it fails with;
 * without it the process ends there by SIGKILL, a write after half of its bytes. With FAULT_LASTING all later calls that need room on the disk
 * fail too. FAULT_SLOW_MS lets each write take so much longer. FAULT_TRACE names a file that gets a line for each call: its number, name and
 * path. Programs that the process starts are left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long at;
static long calls;
static int error;
static bool lasting;
static int trace = -1;
static long slow_ms;

static long
number(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? strtol(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("FAULT_TRACE");

	at = number("FAULT_AT");
	error = (int)number("FAULT_ERRNO");
	lasting = getenv("FAULT_LASTING") != NULL;
	slow_ms = number("FAULT_SLOW_MS");
	if (path != NULL)
		trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	(void)unsetenv("LD_PRELOAD");
}

static void
note(const char *name, const char *path)
{
	char line[512];
	int len = snprintf(line, sizeof line, "%ld %s %.400s\n", calls, name, path);

	if (trace >= 0 && len > 0)
		(void)syscall(SYS_write, trace, line, (size_t)len);
}

/* True where this call is to fail; it does not return where the process is to end. */
static bool
fails(const char *name, const char *path, bool takes_room)
{
	calls++;
	note(name, path);
	bool hit = calls == at || (lasting && takes_room && at > 0 && calls > at);
	if (hit && error == 0)
		(void)kill(getpid(), SIGKILL);
	if (hit)
		errno = error;
	return hit;
}

static int
open_any(const char *name, const char *path, int flags, mode_t mode)
{
	return (flags & O_CREAT) != 0 && fails(name, path, true) ? -1 : openat(AT_FDCWD, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	va_list rest;

	va_start(rest, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	return open_any("open", path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list rest;

	va_start(rest, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	return open_any("open64", path, flags, mode);
}

/* Only files: pipes, sockets and terminals are no part of a store. */
ssize_t
write(int fd, const void *bytes, size_t len)
{
	struct stat st;
	char path[32];

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return (ssize_t)syscall(SYS_write, fd, bytes, len);
	if (slow_ms > 0)
		(void)nanosleep(&(struct timespec){.tv_sec = slow_ms / 1000, .tv_nsec = slow_ms % 1000 * 1000000}, NULL);
	(void)snprintf(path, sizeof path, "%d, %zu bytes", fd, len);
	if (calls + 1 == at)
		(void)syscall(SYS_write, fd, bytes, len / 2);
	if (fails("write", path, true))
		return -1;
	return (ssize_t)syscall(SYS_write, fd, bytes, len);
}

int
fsync(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof path, "%d", fd);
	return fails("fsync", path, false) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
rename(const char *from, const char *to)
{
	return fails("rename", to, true) ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
mkdir(const char *path, mode_t mode)
{
	return fails("mkdir", path, true) ? -1 : mkdirat(AT_FDCWD, path, mode);
}

char *
mkdtemp(char *path)
{
	char unique[7];

	(void)snprintf(unique, sizeof unique, "%06lx", (unsigned long)getpid() & 0xFFFFFF);
	memcpy(path + strlen(path) - 6, unique, 6);
	return fails("mkdtemp", path, true) || mkdirat(AT_FDCWD, path, 0700) != 0 ? NULL : path;
}

int
unlink(const char *path)
{
	return fails("unlink", path, false) ? -1 : unlinkat(AT_FDCWD, path, 0);
}

int
rmdir(const char *path)
{
	return fails("rmdir", path, false) ? -1 : unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
remove(const char *path)
{
	if (fails("remove", path, false))
		return -1;
	int done = unlinkat(AT_FDCWD, path, 0);
	return done != 0 && errno == EISDIR ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : done;
}
