/* test_rest.c - tests of mlflow/rest, settings, web, commit and chart: what needs no server */
#include "mlflow/rest.h"

#include <math.h>

#include "folder.h"
#include "mlflow/chart.h"
#include "mlflow/commit.h"
#include "mlflow/settings.h"

static const char *const variables[] = {
	"MLFLOW_TRACKING_USERNAME",           "MLFLOW_TRACKING_PASSWORD",           "MLFLOW_TRACKING_TOKEN",
	"MLFLOW_HTTP_REQUEST_TIMEOUT",        "MLFLOW_HTTP_REQUEST_MAX_RETRIES",    "MLFLOW_TRACKING_INSECURE_TLS",
	"MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "MLFLOW_TRACKING_SERVER_CERT_PATH"};

static int
clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
		(void)unsetenv(variables[i]);
	return 0;
}

static void
takes_urls(void **state)
{
	static const struct {
		const char *uri;
		const char *url;
		const char *user;
		const char *password;
	} rows[] = {
		{"http://host:5000", "http://host:5000", "", ""}, {"https://host/mlflow//", "https://host/mlflow", "", ""},
		{"HTTP://host", "HTTP://host", "", ""},           {"https://zoe:pa%40ss%21@host:1/x", "https://host:1/x", "zoe", "pa@ss!"},
		{"https://zoe@host", "https://host", "zoe", ""},  {"https://a:b@c@host", "https://host", "a", "b@c"},
		{"https://host/a@b", "https://host/a@b", "", ""}, {"https://a:%zz%4@host", "https://host", "a", "%zz%4"},
	};
	struct settings s;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_err(rows[i].uri, settings_init(&s, rows[i].uri, &info), ERR_OK, &info);
		check_string(rows[i].uri, s.url, rows[i].url);
		check_string(rows[i].uri, s.user, rows[i].user);
		check_string(rows[i].uri, s.password, rows[i].password);
		settings_release(&s);
		check_string(rows[i].uri, s.password, "");
	}
}

static void
refuses_other_uris(void **state)
{
	static const char *const rows[] = {"",           "host:5000",           "sqlite:///x",         "file:///x",
									   "databricks", "ftp://u:s3cret@host", "http://u:s3cret@h?x", "http://u:s3cret@h/a b"};
	struct settings s;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_err(rows[i], settings_init(&s, rows[i], &info), ERR_USAGE, &info);
		assert_null(strstr(info.text, "s3cret"));
	}
}

static void
heeds_the_environment(void **state)
{
	struct settings s;
	struct err_info info;

	(void)state;
	assert_err(settings_init(&s, "http://zoe:inurl@host", &info), ERR_OK, &info);
	assert_int_equal(s.web.timeout_s, 120);
	assert_int_equal(s.retries, 7);
	assert_false(s.web.insecure);
	(void)setenv("MLFLOW_TRACKING_USERNAME", "max", 1);
	assert_err(settings_init(&s, "http://zoe:inurl@host", &info), ERR_OK, &info);
	assert_string_equal(s.user, "zoe"); /* a user without a password is none */
	(void)setenv("MLFLOW_TRACKING_PASSWORD", "pw", 1);
	(void)setenv("MLFLOW_TRACKING_TOKEN", "tok", 1);
	(void)setenv("MLFLOW_TRACKING_INSECURE_TLS", "True", 1);
	(void)setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca.pem", 1);
	(void)setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "9", 1);
	(void)setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0", 1);
	(void)setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.5", 1);
	assert_err(settings_init(&s, "http://zoe:inurl@host", &info), ERR_OK, &info);
	assert_string_equal(s.user, "max");
	assert_string_equal(s.password, "pw");
	assert_string_equal(s.web.token, "tok");
	assert_string_equal(s.web.ca_file, "/ca.pem");
	assert_true(s.web.insecure);
	assert_int_equal(s.web.timeout_s, 9);
	assert_int_equal(s.retries, 0);
	assert_true(s.backoff_s > 0.49 && s.backoff_s < 0.51);
	(void)setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon", 1);
	assert_err(settings_init(&s, "http://host", &info), ERR_USAGE, &info);
	assert_contains(info.text, "MLFLOW_HTTP_REQUEST_TIMEOUT");
	(void)clear_environment(state);
}

static void
shows_no_credentials(void **state)
{
	static const char *const rows[][2] = {
		{"http://u:p@h/x", "http://h/x"},
		{"--mlflow=https://u:p@h", "--mlflow=https://h"},
		{"http://h/a@b", "http://h/a@b"},
		{"a@b", "a@b"},
	};
	char shown[64];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_string(rows[i][0], settings_shown(rows[i][0], shown, sizeof shown), rows[i][1]);
}

static void
escapes_names(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	web_escape(&out, "a-Z_0.~ /?&#%+é@:", false);
	assert_string_equal(buf_peek(&out), "a-Z_0.~%20%2F%3F%26%23%25%2B%C3%A9%40%3A");
	buf_reset(&out);
	web_escape(&out, "a/b c", true);
	assert_string_equal(buf_peek(&out), "a/b%20c");
	buf_release(&out);
}

static void
makes_keys(void **state)
{
	char key[MLFLOW_KEY_MAX + 1];
	char longer[400];

	(void)state;
	assert_string_equal(mlflow_key("test-ndcg@10-", key), "test-ndcg_at_10-");
	assert_string_equal(mlflow_key("a:b,c/d e.f", key), "a_b_c/d e.f");
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	assert_true(strlen(mlflow_key(longer, key)) <= MLFLOW_KEY_MAX);
}

#define HASH_A "0123456789abcdef0123456789abcdef01234567"
#define HASH_B "89abcdef0123456789abcdef0123456789abcdef"

static void
finds_the_commit(void **state)
{
	char found[COMMIT_HEX];

	(void)state;
	assert_int_equal(mkdir(folder_path(".git"), 0755), 0);
	assert_int_equal(mkdir(folder_path(".git/refs"), 0755), 0);
	assert_int_equal(mkdir(folder_path(".git/refs/heads"), 0755), 0);
	assert_int_equal(mkdir(folder_path("deep"), 0755), 0);
	folder_write(folder_path(".git/HEAD"), HASH_A "\n");
	assert_true(commit_find(folder_path("deep"), found));
	assert_string_equal(found, HASH_A);
	folder_write(folder_path(".git/HEAD"), "ref: refs/heads/main\n");
	assert_false(commit_find(folder, found));
	folder_write(folder_path(".git/packed-refs"),
				 "# pack-refs with: peeled\n" HASH_A " refs/heads/mainly\n" HASH_B " refs/heads/main\n^" HASH_A "\n");
	assert_true(commit_find(folder, found));
	assert_string_equal(found, HASH_B);
	folder_write(folder_path(".git/refs/heads/main"), HASH_A "\n");
	assert_true(commit_find(folder, found));
	assert_string_equal(found, HASH_A);
	folder_write(folder_path(".git/HEAD"), "ref: refs/../../../etc/passwd\n");
	assert_false(commit_find(folder, found));
	folder_write(folder_path(".git/HEAD"), "nonsense\n");
	assert_false(commit_find(folder, found));
}

static void
draws(void **state)
{
	static const char *const names[] = {"<b> & \x01", "second", "third"};
	static const double values[] = {1, 4, 0};
	static const float x[] = {1, 2, NAN, 3};
	static const float y[] = {1, 2.5F, 1, INFINITY};
	struct buf svg;

	(void)state;
	buf_init(&svg, CHART_SVG_MAX);
	chart_bars(&svg, "T", names, values, 3);
	assert_true(buf_ok(&svg));
	assert_contains(buf_peek(&svg), "&lt;b> &amp; \xEF\xBF\xBD<");
	assert_true(strstr(buf_peek(&svg), "second") < strstr(buf_peek(&svg), "&lt;b>"));
	buf_reset(&svg);
	chart_scatter(&svg, "T", "x", "y", x, y, 4);
	assert_true(buf_ok(&svg));
	assert_null(strstr(buf_peek(&svg), "nan"));
	assert_null(strstr(buf_peek(&svg), "inf"));
	buf_reset(&svg);
	chart_scatter(&svg, "T", "x", "y", x, x, 1); /* one point: its axes have a width all the same */
	assert_null(strstr(buf_peek(&svg), "nan"));
	buf_reset(&svg);
	chart_scatter(&svg, "T", "x", "y", x, x, 0);
	assert_contains(buf_peek(&svg), "</svg>");
	buf_release(&svg);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("a server's URL is taken apart, its credentials out of sight", takes_urls),
		TEST("what is no URL of a server is refused, without its credentials", refuses_other_uris),
		TEST("MLflow's environment variables are heeded", heeds_the_environment),
		TEST("credentials are cut from what is shown", shows_no_credentials),
		TEST("names are percent-encoded", escapes_names),
		TEST("metrics get keys that MLflow takes", makes_keys),
		TEST_WITH("the commit is found without git: detached, loose, packed", finds_the_commit, folder_setup, folder_teardown),
		TEST("pictures are well-formed whatever the names and the values", draws),
	};

	return cmocka_run_group_tests_name("rest", tests, clear_environment, NULL);
}
