/* test_socket.c - tests of serve/socket: unix and TCP sockets that are made, and one that is handed over */
#include "serve/socket.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "folder.h"

enum { BACKLOG = 16 };

static struct sockaddr_un
unix_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_true(strlen(path) < sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	return address;
}

/* True where something takes connections at `path`. */
static bool
connects(const char *path)
{
	const struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool ok = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;

	(void)close(fd);
	return ok;
}

/* True where a connection waits at the listening socket; takes it. */
static bool
takes(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, 0) != 1)
		return false;
	int connection = accept(fd, NULL, NULL);
	(void)close(connection);
	return connection >= 0;
}

/* Number of entries in the test's folder. */
static int
entries(void)
{
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(d);
	return n;
}

static void
makes_unix_sockets(void **state)
{
	const char *path = folder_path("s");
	struct socket s;
	struct err_info info;

	(void)state;
	assert_err(socket_init(&s, path, 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_true(s.open);
	assert_false(s.handed_over);
	assert_false(s.wide);
	assert_int_equal(entries(), 1);
	assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(accept(s.fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(connects(path));
	assert_true(takes(s.fd));
	socket_release(&s);
	assert_int_equal(entries(), 0);
	assert_int_equal(s.fd, -1);
	socket_release(&s);
}

static void
gives_the_mode(void **state)
{
	static const mode_t modes[] = {0600, 0660, 0666, 0777};
	mode_t before = umask(0077);

	(void)state;
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		struct socket s;
		struct err_info info;
		struct stat st;
		assert_err(socket_init(&s, folder_path("s"), modes[i], "", BACKLOG, &info), ERR_OK, &info);
		assert_int_equal(lstat(folder_path("s"), &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, modes[i]);
		socket_release(&s);
	}
	(void)umask(before);
}

static void
gives_the_group(void **state)
{
	const struct group *own = getgrgid(getegid());
	struct socket s;
	struct err_info info;
	struct stat st;

	(void)state;
	if (own == NULL)
		skip();
	assert_err(socket_init(&s, folder_path("s"), 0660, own->gr_name, BACKLOG, &info), ERR_OK, &info);
	assert_int_equal(lstat(folder_path("s"), &st), 0);
	assert_int_equal(st.st_gid, getegid());
	socket_release(&s);
	assert_err(socket_init(&s, folder_path("s"), 0660, "no-such-group", BACKLOG, &info), ERR_FILE, &info);
	assert_string_equal(info.text, "there is no group \"no-such-group\" for the socket");
	assert_int_equal(entries(), 0);
}

static void
replaces_what_a_dead_process_left(void **state)
{
	const struct sockaddr_un address = unix_address(folder_path("s"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct socket s;
	struct err_info info;

	(void)state;
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	(void)close(fd);
	assert_false(connects(folder_path("s")));
	assert_err(socket_init(&s, folder_path("s"), 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_true(connects(folder_path("s")));
	assert_true(takes(s.fd));
	assert_int_equal(entries(), 1);
	socket_release(&s);
}

static void
refuses_one_in_use(void **state)
{
	struct socket first;
	struct socket second;
	struct err_info info;

	(void)state;
	assert_err(socket_init(&first, folder_path("s"), 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_err(socket_init(&second, folder_path("s"), 0660, "", BACKLOG, &info), ERR_FILE, &info);
	assert_contains(info.text, "/s: another process listens there; stop it or choose another path");
	assert_false(second.open);
	assert_int_equal(entries(), 1);
	assert_true(connects(folder_path("s")));
	socket_release(&first);
}

static void
refuses_what_is_no_socket(void **state)
{
	struct socket s;
	struct err_info info;

	(void)state;
	folder_write(folder_path("file"), "precious");
	assert_int_equal(mkdir(folder_path("d"), 0755), 0);
	assert_int_equal(symlink("nowhere", folder_path("link")), 0);
	assert_err(socket_init(&s, folder_path("file"), 0660, "", BACKLOG, &info), ERR_FILE, &info);
	assert_contains(info.text, "/file: exists and is not a socket; remove it or choose another path");
	assert_err(socket_init(&s, folder_path("d"), 0660, "", BACKLOG, &info), ERR_FILE, &info);
	assert_contains(info.text, "/d: exists and is not a socket");
	assert_err(socket_init(&s, folder_path("link"), 0660, "", BACKLOG, &info), ERR_FILE, &info);
	assert_contains(info.text, "/link: exists and is not a socket");
	assert_err(socket_init(&s, folder_path("none/s"), 0660, "", BACKLOG, &info), ERR_FILE, &info);
	assert_contains(info.text, "/none/s: cannot make the socket: No such file or directory");
	assert_int_equal(entries(), 3);
	char *text = folder_read(folder_path("file"), NULL);
	assert_string_equal(text, "precious");
	free(text);
}

static void
refuses_long_paths(void **state)
{
	struct socket s;
	struct err_info info;
	char path[400];

	(void)state;
	for (size_t len = 60; len < sizeof path - 1; len++) {
		int n = snprintf(path, sizeof path, "%s/", folder);
		if (len <= (size_t)n)
			continue;
		memset(path + n, 'x', len - (size_t)n);
		path[len] = '\0';
		enum err e = socket_init(&s, path, 0660, "", BACKLOG, &info);
		if (len < 95)
			check_err(path, e, ERR_OK, &info);
		if (len > 107)
			check_err(path, e, ERR_FILE, &info);
		if (e != ERR_OK)
			check_contains(path, info.text, ": the path is too long for a unix socket (about 95 bytes)");
		else
			check_integer(path, connects(path), true);
		socket_release(&s);
		check_integer(path, entries(), 0);
	}
}

static void
unlink_leaves_the_queue(void **state)
{
	struct socket s;
	struct err_info info;

	(void)state;
	assert_err(socket_init(&s, folder_path("s"), 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_true(connects(folder_path("s")));
	socket_unlink(&s);
	assert_int_equal(entries(), 0);
	assert_true(takes(s.fd));
	socket_unlink(&s);
	socket_release(&s);
}

static void
removes_only_its_own(void **state)
{
	struct socket first;
	struct socket second;
	struct err_info info;

	(void)state;
	assert_err(socket_init(&first, folder_path("s"), 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_int_equal(unlink(folder_path("s")), 0);
	assert_err(socket_init(&second, folder_path("s"), 0660, "", BACKLOG, &info), ERR_OK, &info);
	socket_release(&first);
	assert_true(connects(folder_path("s")));
	assert_true(takes(second.fd));
	socket_release(&second);
	assert_int_equal(entries(), 0);
}

/* A TCP port of loopback that is free now. */
static int
free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	return ntohs(address.sin_port);
}

static bool
connects_tcp(int port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;

	(void)close(fd);
	return ok;
}

static void
listens_on_tcp(void **state)
{
	static const struct {
		const char *host;
		bool wide;
	} rows[] = {{"127.0.0.1", false}, {"127.1.2.3", false}, {"0.0.0.0", true}, {"[::1]", false}, {"[::]", true}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct socket s;
		struct err_info info;
		char address[64];
		int port = free_port();
		(void)snprintf(address, sizeof address, "%s:%d", rows[i].host, port);
		enum err e = socket_init(&s, address, 0660, "", BACKLOG, &info);
		if (rows[i].host[0] == '[' && e != ERR_OK)
			continue; /* no IPv6 here */
		check_err(address, e, ERR_OK, &info);
		check_integer(address, s.wide, rows[i].wide);
		check_integer(address, (fcntl(s.fd, F_GETFL) & O_NONBLOCK) != 0, true);
		if (strcmp(rows[i].host, "127.0.0.1") == 0) {
			check_integer(address, connects_tcp(port), true);
			check_integer(address, takes(s.fd), true);
		}
		socket_release(&s);
		check_integer(address, connects_tcp(port), false);
	}
}

static void
empty_host_is_loopback(void **state)
{
	struct socket s;
	struct err_info info;
	char address[16];

	(void)state;
	(void)snprintf(address, sizeof address, ":%d", free_port());
	assert_err(socket_init(&s, address, 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_false(s.wide);
	socket_release(&s);
}

static void
refuses_what_is_no_port(void **state)
{
	static const char *const rows[] = {"127.0.0.1:",
									   "127.0.0.1:0",
									   "127.0.0.1:65536",
									   "127.0.0.1:99999",
									   "127.0.0.1:-1",
									   "127.0.0.1:http",
									   "127.0.0.1:80x",
									   "127.0.0.1: 80",
									   ":",
									   "::",
									   "localhost:"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct socket s;
		struct err_info info;
		check_err(rows[i], socket_init(&s, rows[i], 0660, "", BACKLOG, &info), ERR_FILE, &info);
		check_contains(rows[i], info.text, "the port must be a number from 1 to 65535");
		check_integer(rows[i], s.open, false);
	}
}

static void
refuses_a_port_in_use(void **state)
{
	struct socket first;
	struct socket second;
	struct err_info info;
	char address[32];
	char sentence[80];

	(void)state;
	(void)snprintf(address, sizeof address, "127.0.0.1:%d", free_port());
	assert_err(socket_init(&first, address, 0660, "", BACKLOG, &info), ERR_OK, &info);
	assert_err(socket_init(&second, address, 0660, "", BACKLOG, &info), ERR_FILE, &info);
	(void)snprintf(sentence, sizeof sentence, "cannot listen on %s: Address already in use", address);
	assert_string_equal(info.text, sentence);
	socket_release(&first);
}

/* Calls socket_init("") with `fd` as descriptor 0 (or that closed, where it is negative), and puts standard input back. */
static enum err
init_with_descriptor_0(int fd, struct socket *s, struct err_info *info)
{
	int saved = dup(STDIN_FILENO);

	if (fd >= 0)
		assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	else
		(void)close(STDIN_FILENO);
	enum err e = socket_init(s, "", 0660, "", BACKLOG, info);
	if (saved >= 0) {
		(void)dup2(saved, STDIN_FILENO);
		(void)close(saved);
	}
	return e;
}

static void
takes_descriptor_0(void **state)
{
	const struct sockaddr_un address = unix_address(folder_path("s"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct socket s;
	struct err_info info;

	(void)state;
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_err(init_with_descriptor_0(fd, &s, &info), ERR_OK, &info);
	assert_true(s.open);
	assert_true(s.handed_over);
	assert_int_equal(s.fd, 0);
	assert_string_equal(s.path, "");
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	socket_unlink(&s);
	socket_release(&s);
	assert_true(connects(folder_path("s"))); /* whoever gave it still has it */
	assert_true(takes(fd));
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	(void)close(fd);
}

static void
refuses_another_descriptor_0(void **state)
{
	int null = open("/dev/null", O_RDONLY);
	int unheard = socket(AF_UNIX, SOCK_STREAM, 0);
	int pair[2];
	struct socket s;
	struct err_info info;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	const int fds[] = {null, unheard, pair[0], -1};
	for (size_t i = 0; i < 4; i++) {
		check_err("descriptor 0", init_with_descriptor_0(fds[i], &s, &info), ERR_USAGE, &info);
		assert_contains(info.text, "no listening socket: give --socket PATH or --socket HOST:PORT");
		assert_false(s.open);
	}
	(void)close(null);
	(void)close(unheard);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
zeroed_struct(void **state)
{
	struct socket s = {0};

	(void)state;
	socket_unlink(&s);
	socket_release(&s); /* descriptor 0 is not its */
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0 || errno == EBADF);
}

#define IN_FOLDER(sentence, function) TEST_WITH(sentence, function, folder_setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_FOLDER("a unix socket listens under its path alone and is removed with it", makes_unix_sockets),
		IN_FOLDER("a unix socket gets its mode whatever the umask", gives_the_mode),
		IN_FOLDER("a unix socket gets its group, and an unknown group is refused", gives_the_group),
		IN_FOLDER("a socket that a dead process left is replaced", replaces_what_a_dead_process_left),
		IN_FOLDER("a socket where another process listens is refused and left alone", refuses_one_in_use),
		IN_FOLDER("a file, a folder and a link are refused and left alone", refuses_what_is_no_socket),
		IN_FOLDER("a path that is too long is refused, and up to 94 bytes are not", refuses_long_paths),
		IN_FOLDER("an unlinked socket still serves who waits", unlink_leaves_the_queue),
		IN_FOLDER("only its own path is removed", removes_only_its_own),
		TEST("a TCP socket listens, and one on more than loopback says so", listens_on_tcp),
		TEST("a port without a host is on loopback", empty_host_is_loopback),
		TEST("what is no port is refused", refuses_what_is_no_port),
		TEST("a port in use is refused", refuses_a_port_in_use),
		IN_FOLDER("a listening descriptor 0 is taken over and stays its giver's", takes_descriptor_0),
		TEST("a descriptor 0 that does not listen is refused", refuses_another_descriptor_0),
		TEST("a zeroed socket owns nothing", zeroed_struct),
	};

	return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
