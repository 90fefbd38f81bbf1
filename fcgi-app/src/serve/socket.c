/* socket.c - the listening socket: handed over, or made */
#include "serve/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

enum { UNIX_PATH_MAX = sizeof((struct sockaddr_un *)0)->sun_path };

static enum err take_over(struct socket *s, struct err_info *info);
static enum err listen_unix(struct socket *s, const char *path, mode_t mode, const char *group, int backlog, struct err_info *info);
static enum err listen_tcp(struct socket *s, const char *address, int backlog, struct err_info *info);
static bool is_path(const char *address);
static enum err temporary_name(const char *path, char *out, struct err_info *info);
static enum err find_group(const char *name, gid_t *gid, struct err_info *info);
static enum err resolve(const char *address, struct addrinfo **out, struct err_info *info);

enum err
socket_init(struct socket *s, const char *address, mode_t mode, const char *group, int backlog, struct err_info *info)
{
	enum err e;

	*s = (struct socket){.fd = -1};
	if (*address == '\0')
		e = take_over(s, info);
	else if (is_path(address))
		e = listen_unix(s, address, mode, group, backlog, info);
	else
		e = listen_tcp(s, address, backlog, info);
	if (e == ERR_OK && fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK) != 0)
		e = err_set(info, ERR_FILE, "cannot make the listening socket non-blocking: %s", strerror(errno));
	s->open = s->fd >= 0;
	if (e != ERR_OK)
		socket_release(s);
	return e;
}

enum err
socket_check(const char *address, const char *group, struct err_info *info)
{
	char making[UNIX_PATH_MAX];
	struct addrinfo *found = NULL;
	gid_t gid;
	enum err e = ERR_OK;

	if (is_path(address)) {
		e = temporary_name(address, making, info);
	} else if (*address != '\0') {
		e = resolve(address, &found, info);
		if (e == ERR_OK)
			freeaddrinfo(found);
	}
	return e == ERR_OK && *group != '\0' ? find_group(group, &gid, info) : e;
}

void
socket_unlink(struct socket *s)
{
	struct stat st;

	if (s->path[0] != '\0' && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
		(void)unlink(s->path);
	s->path[0] = '\0';
}

void
socket_release(struct socket *s)
{
	if (s->open && !s->handed_over) {
		socket_unlink(s);
		(void)close(s->fd);
	}
	*s = (struct socket){.fd = -1};
}

static bool
is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* True for a TCP socket that more than loopback reaches. */
static bool
is_wide(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof address;

	if (getsockname(fd, (struct sockaddr *)&address, &len) != 0 || (address.ss_family != AF_INET && address.ss_family != AF_INET6))
		return false;
	return !is_loopback((const struct sockaddr *)&address);
}

static enum err
take_over(struct socket *s, struct err_info *info)
{
	int listening = 0;
	socklen_t len = sizeof listening;

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
		return err_set(info, ERR_USAGE,
					   "no listening socket: give --socket PATH or --socket HOST:PORT, or start it with one as descriptor 0 "
					   "(spawn-fcgi -n, a systemd socket)");
	s->fd = STDIN_FILENO;
	s->handed_over = true;
	s->wide = is_wide(s->fd);
	return ERR_OK;
}

/* A path has a '/', or no ':'; "" is neither path nor host. */
static bool
is_path(const char *address)
{
	return *address != '\0' && (strchr(address, '/') != NULL || strchr(address, ':') == NULL);
}

/* Where a socket stands until it is ready to get its name. */
static enum err
temporary_name(const char *path, char *out, struct err_info *info)
{
	int n = snprintf(out, UNIX_PATH_MAX, "%s.%ld", path, (long)getpid());

	if (n < 0 || n >= UNIX_PATH_MAX)
		return err_set(info, ERR_FILE, "%.120s: the path is too long for a unix socket (about 95 bytes)", path);
	return ERR_OK;
}

static enum err
find_group(const char *name, gid_t *gid, struct err_info *info)
{
	const struct group *entry = getgrnam(name);

	if (entry == NULL)
		return err_set(info, ERR_FILE, "there is no group \"%.60s\" for the socket", name);
	*gid = entry->gr_gid;
	return ERR_OK;
}

/* Mode and group go on before the socket gets its name, so that it is never open to more than it should be. */
static enum err
prepare_path(const char *path, mode_t mode, const char *group, struct err_info *info)
{
	if (chmod(path, mode) != 0)
		return err_set(info, ERR_FILE, "%s: cannot set its mode: %s", path, strerror(errno));
	if (*group == '\0')
		return ERR_OK;
	gid_t gid;
	enum err e = find_group(group, &gid, info);
	if (e == ERR_OK && chown(path, (uid_t)-1, gid) != 0)
		e = err_set(info, ERR_FILE, "%s: cannot give it to group %.60s: %s", path, group, strerror(errno));
	return e;
}

/* True where a process listens on the path: what a dead one left behind refuses connections. */
static bool
is_in_use(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	bool in_use = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
	(void)close(fd);
	return in_use;
}

/* Binds and listens under `making`, then renames it to `path`. */
static enum err
place(struct socket *s, const char *making, const char *path, mode_t mode, const char *group, int backlog, struct err_info *info)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;

	memcpy(address.sun_path, making, strlen(making) + 1);
	(void)unlink(making);
	if (bind(s->fd, (const struct sockaddr *)&address, sizeof address) != 0)
		return err_set(info, ERR_FILE, "%s: cannot make the socket: %s", path, strerror(errno));
	enum err e = prepare_path(making, mode, group, info);
	if (e == ERR_OK && listen(s->fd, backlog) != 0)
		e = err_set(info, ERR_FILE, "%s: cannot listen: %s", path, strerror(errno));
	if (e == ERR_OK && (lstat(making, &st) != 0 || rename(making, path) != 0))
		e = err_set(info, ERR_FILE, "%s: cannot give the socket its name: %s", path, strerror(errno));
	if (e != ERR_OK) {
		(void)unlink(making);
		return e;
	}
	memcpy(s->path, path, strlen(path) + 1);
	s->device = st.st_dev;
	s->inode = st.st_ino;
	return ERR_OK;
}

static enum err
listen_unix(struct socket *s, const char *path, mode_t mode, const char *group, int backlog, struct err_info *info)
{
	char making[UNIX_PATH_MAX];
	struct stat st;
	enum err e = temporary_name(path, making, info);

	if (e != ERR_OK)
		return e;
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(info, ERR_FILE, "%s: exists and is not a socket; remove it or choose another path", path);
	if (is_in_use(path))
		return err_set(info, ERR_FILE, "%s: another process listens there; stop it or choose another path", path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_set(info, ERR_FILE, "cannot make a unix socket: %s", strerror(errno));
	s->open = true;
	return place(s, making, path, mode, group, backlog, info);
}

/* HOST:PORT or [HOST]:PORT; an empty host is loopback. */
static enum err
resolve(const char *address, struct addrinfo **out, struct err_info *info)
{
	char host[SOCKET_ADDRESS_MAX];
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(address, ':');
	size_t len = (size_t)(colon - address);
	long long port;

	if (len >= sizeof host)
		return err_set(info, ERR_FILE, "the socket's host name is too long");
	if (!text_integer(colon + 1, 1, 65535, &port))
		return err_set(info, ERR_FILE, "cannot listen on %s: the port must be a number from 1 to 65535", address);
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	memcpy(host, address, len);
	host[len] = '\0';
	int result = getaddrinfo(len == 0 ? NULL : host, colon + 1, &hints, out);
	if (result != 0)
		return err_set(info, ERR_FILE, "cannot listen on %s port %s: %s", host, colon + 1, gai_strerror(result));
	return ERR_OK;
}

static enum err
listen_tcp(struct socket *s, const char *address, int backlog, struct err_info *info)
{
	struct addrinfo *found = NULL;
	const int on = 1;
	enum err e = resolve(address, &found, info);

	if (e != ERR_OK)
		return e;
	s->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->open = s->fd >= 0;
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
		bind(s->fd, found->ai_addr, found->ai_addrlen) != 0 || listen(s->fd, backlog) != 0)
		e = err_set(info, ERR_FILE, "cannot listen on %s: %s", address, strerror(errno));
	s->wide = e == ERR_OK && is_wide(s->fd);
	freeaddrinfo(found);
	return e;
}
