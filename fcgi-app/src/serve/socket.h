/* socket.h - the listening socket: handed over, or made */
#ifndef FUTAIE_SOCKET_H
#define FUTAIE_SOCKET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

enum { SOCKET_ADDRESS_MAX = 256 };

/* A listening socket, non-blocking. A zeroed struct is released (descriptor 0 is then not its). */
struct socket {
	bool open;
	bool handed_over; /* as descriptor 0: whoever gave it keeps it, and the queue of connections with it */
	bool wide;        /* a TCP socket on more than loopback */
	int fd;
	char path[SOCKET_ADDRESS_MAX]; /* of a unix socket that is ours, or "" */
	dev_t device;                  /* of that path, to know it again */
	ino_t inode;
};

/*
 * `address` is "" (descriptor 0 must be a listening socket), a path (it has a '/', or no ':'), or HOST:PORT. A unix socket is made under
 * another name, gets `mode` and, unless `group` is "", that group, and is then renamed: it is never open to more than it should be.
 * One that a dead process left is replaced; ERR_FILE where a living one listens, and for all else that goes wrong.
 */
enum err socket_init(struct socket *s, const char *address, mode_t mode, const char *group, int backlog, struct err_info *info);

/*
 * What can be said about an address and a group without making anything: that the path is not too long, the host and port are some, the group
 * exists. ERR_FILE with a sentence. An empty address (descriptor 0) is right.
 */
enum err socket_check(const char *address, const char *group, struct err_info *info);

/* Removes the path of a socket of ours, where it still is ours: no new connections come, the waiting ones remain. */
void socket_unlink(struct socket *s);

void socket_release(struct socket *s);

#endif
