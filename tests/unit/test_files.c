/* test_files.c - tests of base/files: whole files within their maximum, sha256, and joined paths */
#include "base/files.h"

#include "folder.h"

static void
reads_whole_files(void **state)
{
	static const size_t sizes[] = {0, 1, 255, 256, 257, 4096, 100000};
	struct err_info info;
	char *bytes = malloc(100000);

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		bytes[i] = (char)(i * 7);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf b;
		folder_write_bytes(folder_path("f"), bytes, sizes[i]);
		buf_init(&b, 200000);
		buf_str(&b, "before");
		assert_err(files_read(folder_path("f"), &b, &info), ERR_OK, &info);
		assert_int_equal(b.len, 6 + sizes[i]);
		assert_memory_equal(b.data, "before", 6);
		assert_memory_equal(b.data + 6, bytes, sizes[i]);
		buf_release(&b);
	}
	free(bytes);
}

static void
respects_the_maximum(void **state)
{
	struct err_info info;
	struct buf b;
	char bytes[1000] = {0};

	(void)state;
	folder_write_bytes(folder_path("f"), bytes, sizeof bytes);
	for (size_t max = 0; max < 1010; max += max < 990 ? 90 : 1) {
		char row[32];
		(void)snprintf(row, sizeof row, "maximum %zu", max);
		buf_init(&b, max);
		enum err e = files_read(folder_path("f"), &b, &info);
		check_err(row, e, max < sizeof bytes ? ERR_FILE : ERR_OK, &info);
		if (e == ERR_FILE)
			check_contains(row, info.text, "/f: 1000 bytes are more than the ");
		assert_true(b.cap <= max);
		buf_release(&b);
	}
}

static void
check_refused(const char *path, const char *sentence)
{
	struct err_info info;
	struct buf b;

	buf_init(&b, 1000);
	check_err(path, files_read(path, &b, &info), ERR_FILE, &info);
	check_contains(path, info.text, sentence);
	check_contains(path, info.text, path);
	buf_release(&b);
}

static void
refuses_what_is_no_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir(folder_path("d"), 0755), 0);
	assert_int_equal(mkfifo(folder_path("fifo"), 0644), 0);
	assert_int_equal(symlink("nowhere", folder_path("dangling")), 0);
	assert_int_equal(symlink("loop", folder_path("loop")), 0);
	folder_write(folder_path("f"), "x");
	check_refused(folder_path("none"), ": cannot open: No such file or directory");
	check_refused(folder_path("d"), ": not a regular file");
	check_refused(folder_path("fifo"), ": not a regular file");
	check_refused("/dev/zero", ": not a regular file");
	check_refused(folder_path("dangling"), ": cannot open: No such file or directory");
	check_refused(folder_path("loop"), ": cannot open: Too many levels of symbolic links");
	check_refused(folder_path("f/g"), ": cannot open: Not a directory");
}

static void
follows_links(void **state)
{
	struct err_info info;
	struct buf b;

	(void)state;
	folder_write(folder_path("f"), "text");
	assert_int_equal(symlink("f", folder_path("link")), 0);
	buf_init(&b, 1000);
	assert_err(files_read(folder_path("link"), &b, &info), ERR_OK, &info);
	assert_string_equal(buf_peek(&b), "text");
	buf_release(&b);
}

/* A file of /proc says that its size is 0. */
static void
reads_files_without_a_size(void **state)
{
	struct err_info info;
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	assert_err(files_read("/proc/self/status", &b, &info), ERR_OK, &info);
	assert_contains(buf_peek(&b), "Pid:");
	buf_release(&b);
	buf_init(&b, 100);
	assert_err(files_read("/proc/self/status", &b, &info), ERR_FILE, &info);
	assert_contains(info.text, "/proc/self/status: grew beyond 100 bytes while it was read");
	buf_release(&b);
}

static void
leaves_no_descriptor_open(void **state)
{
	struct err_info info;
	struct buf b;
	int before = dup(0);

	(void)state;
	(void)close(before);
	folder_write(folder_path("f"), "text");
	buf_init(&b, 3);
	assert_err(files_read(folder_path("f"), &b, &info), ERR_FILE, &info);
	assert_err(files_read(folder, &b, &info), ERR_FILE, &info);
	buf_release(&b);
	buf_init(&b, 100);
	assert_err(files_read(folder_path("f"), &b, &info), ERR_OK, &info);
	buf_release(&b);
	int after = dup(0);
	(void)close(after);
	assert_int_equal(after, before);
}

static void
sha256(void **state)
{
	/* FIPS 180-4's examples, by NIST's "SHA256.pdf", and the empty message. */
	static const struct {
		const char *text;
		const char *hash;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[FILES_SHA256_HEX];
		files_sha256(rows[i].text, strlen(rows[i].text), out);
		check_string(rows[i].text, out, rows[i].hash);
	}
}

static void
join(void **state)
{
	char out[8];

	(void)state;
	assert_true(files_join(out, sizeof out, "abc", "def"));
	assert_string_equal(out, "abc/def");
	assert_false(files_join(out, sizeof out, "abcd", "def"));
	assert_false(files_join(out, sizeof out, "", "12345678901234567890"));
}

/* What a file holds, in a buffer that is used again. */
static const char *
text_of(const char *path)
{
	static char text[64];
	char *bytes = folder_read(path, NULL);

	(void)snprintf(text, sizeof text, "%s", bytes);
	free(bytes);
	return text;
}

static void
writes_new_files(void **state)
{
	struct err_info info;

	(void)state;
	assert_err(files_write(folder_path("f"), "abc", 3, &info), ERR_OK, &info);
	assert_string_equal(text_of(folder_path("f")), "abc");
	assert_err(files_write(folder_path("f"), "x", 1, &info), ERR_FILE, &info);
	assert_contains(info.text, "cannot make it: File exists");
	assert_string_equal(text_of(folder_path("f")), "abc");
	assert_err(files_write(folder_path("none/f"), "x", 1, &info), ERR_FILE, &info);
	assert_err(files_write("/dev/full", "x", 1, &info), ERR_FILE, &info);
}

static void
replaces_files(void **state)
{
	struct err_info info;

	(void)state;
	assert_err(files_replace(folder, "f", "one", 3, &info), ERR_OK, &info);
	folder_write(folder_path(".f.new"), "left by a process that was killed");
	assert_err(files_replace(folder, "f", "two", 3, &info), ERR_OK, &info);
	assert_string_equal(text_of(folder_path("f")), "two");
	assert_int_not_equal(access(folder_path(".f.new"), F_OK), 0);
	assert_err(files_replace(folder_path("none"), "f", "x", 1, &info), ERR_FILE, &info);
	assert_int_equal(mkdir(folder_path("d"), 0755), 0);
	assert_err(files_replace(folder, "d", "x", 1, &info), ERR_FILE, &info);
	assert_int_not_equal(access(folder_path(".d.new"), F_OK), 0);
}

static void
makes_renames_and_removes(void **state)
{
	struct err_info info;

	(void)state;
	assert_err(files_make_folder(folder, "a", &info), ERR_OK, &info);
	assert_err(files_make_folder(folder, "a", &info), ERR_FILE, &info);
	assert_err(files_make_folder(folder_path("a"), "b", &info), ERR_OK, &info);
	folder_write(folder_path("a/b/f"), "x");
	assert_err(files_rename(folder_path("a"), "b", folder, "c", &info), ERR_OK, &info);
	assert_string_equal(text_of(folder_path("c/f")), "x");
	assert_err(files_rename(folder, "none", folder, "d", &info), ERR_FILE, &info);
	assert_int_equal(symlink(folder_path("c"), folder_path("a/link")), 0);
	assert_err(files_remove_tree(folder_path("a"), &info), ERR_OK, &info);
	assert_int_not_equal(access(folder_path("a"), F_OK), 0);
	assert_string_equal(text_of(folder_path("c/f")), "x"); /* links are not followed */
	assert_err(files_remove_tree(folder_path("a"), &info), ERR_OK, &info);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_WITH("a file of any size is appended whole", reads_whole_files, folder_setup, folder_teardown),
		TEST_WITH("a file larger than the maximum is refused, and one of just that size is not", respects_the_maximum, folder_setup,
				  folder_teardown),
		TEST_WITH("folders, FIFOs, devices and missing files are refused in a sentence", refuses_what_is_no_file, folder_setup,
				  folder_teardown),
		TEST_WITH("a symbolic link is followed", follows_links, folder_setup, folder_teardown),
		TEST("a file that grows while it is read is read to its end or refused", reads_files_without_a_size),
		TEST_WITH("no descriptor stays open", leaves_no_descriptor_open, folder_setup, folder_teardown),
		TEST_WITH("a new file is written whole, and never over another", writes_new_files, folder_setup, folder_teardown),
		TEST_WITH("a file is replaced whole, whatever a killed process left", replaces_files, folder_setup, folder_teardown),
		TEST_WITH("folders are made, renamed and removed with all that is in them", makes_renames_and_removes, folder_setup,
				  folder_teardown),
		TEST("the sha256 of known texts is as published", sha256),
		TEST("a joined path that does not fit is refused", join),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
