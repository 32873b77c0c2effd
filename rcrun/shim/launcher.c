/*
 * The program rcrun-oci as a wheel installs it: this program under another name, beside the Python of the installation.
 *
 * It is the front, and finds what the launcher of a checkout hands to it: the python beside the real file (a link to it
 * may be anywhere), and the package below ../lib. A shell in its place would cost as much as the front itself.
 */

#include "shim.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#define LAUNCHER_NAME "rcrun-oci"

/* The directory of this very file, when it is installed under the launcher's name. */
static bool own_dir(char *dir, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", dir, size - 1);

	if (length <= 0)
		return false;
	dir[length] = '\0';
	char *name = strrchr(dir, '/');
	if (!name || strcmp(name + 1, LAUNCHER_NAME) != 0)
		return false;
	*name = '\0';
	return true;
}

static bool has_package(const char *dir, const char *python, char script[PATH_MAX])
{
	static const char *const kinds[] = {"site-packages", "dist-packages"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int length = snprintf(script, PATH_MAX, "%s/../lib/%s/%s/rcrun_cli/oci_main.py",
				      dir, python, kinds[i]);
		if (length < PATH_MAX && access(script, R_OK) == 0)
			return true;
	}
	return false;
}

static bool find_package(const char *dir, char script[PATH_MAX])
{
	char lib[PATH_MAX + 8];
	struct dirent *entry;
	bool found = false;

	(void)snprintf(lib, sizeof(lib), "%s/../lib", dir);
	DIR *folder = opendir(lib);
	while (folder && !found && (entry = readdir(folder)))
		found = strncmp(entry->d_name, "python3", 7) == 0 &&
			has_package(dir, entry->d_name, script);
	if (folder)
		(void)closedir(folder);
	return found;
}

/* The first `count` words with the others behind them. */
static char **after(char *const first[], int count, char *const others[], int other_count)
{
	char **words = calloc((size_t)(count + other_count) + 1, sizeof(*words));

	if (!words)
		_exit(1);
	memcpy(words, first, (size_t)count * sizeof(*words));
	memcpy(words + count, others, (size_t)other_count * sizeof(*words));
	return words;
}

/* An editable install, or another layout: wherever the python itself looks. */
static _Noreturn void leave_to_the_python(char *python, int argc, char **argv)
{
	char *before[] = {python, (char *)"-I", (char *)"-m", (char *)"rcrun_cli.oci_main"};
	char **words = after(before, 4, argv + 1, argc - 1);

	(void)execvp(words[0], words);
	dprintf(2, "rcrun-oci: error: cannot run \"%s\": %s\n", words[0], strerror(errno));
	_exit(1);
}

bool is_launcher(void)
{
	char dir[PATH_MAX];

	return own_dir(dir, sizeof(dir));
}

_Noreturn void launcher_main(int argc, char **argv)
{
	static char dir[PATH_MAX], python[PATH_MAX + 16], script[PATH_MAX];

	if (!own_dir(dir, sizeof(dir)))
		_exit(1);
	(void)snprintf(python, sizeof(python), "%s/python3", dir);
	if (access(python, X_OK) < 0)
		(void)snprintf(python, sizeof(python), "python3");
	if (!find_package(dir, script))
		leave_to_the_python(python, argc, argv);
	char *before[] = {python, script};
	_exit(front_main(after(before, 2, argv, argc)));
}
