/* cmd_version.c - futaie version: which futaie, which libxgboost */
#include <stdio.h>

#include "base/options.h"
#include "cmd.h"
#include "model/booster.h"
#include "version.h"

static const struct options_table version_options = {
	.command = "version",
	.synopsis = "",
	.summary = "Prints the versions of futaie and of the libxgboost that it uses.",
};

int
cmd_version(int argc, char **argv)
{
	struct err_info info;
	char library[16];
	bool help;
	int n_operands;

	if (options_argv(&version_options, NULL, argc - 1, argv + 1, &help, &n_operands, &info) != ERR_OK || n_operands > 0) {
		(void)fprintf(stderr, "futaie version: %s\n", n_operands > 0 ? "it takes no operands" : info.text);
		return EXIT_USAGE;
	}
	if (help)
		options_print_help(&version_options, stdout);
	else
		(void)printf("futaie %s\nxgboost %s\n", FUTAIE_VERSION, booster_library_version(library));
	return EXIT_DONE;
}
