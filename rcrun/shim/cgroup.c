/* The end of a container's cgroup. */

#include "shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

enum { TRIES = 50, DEEPEST_GROUP = 32 };

/* Children first; rmdir(2) is the only way to remove a group, its files go with it. */
static void remove_groups(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!directory)
		return;
	while (depth < DEEPEST_GROUP && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			remove_groups(fd, entry->d_name, depth + 1);
	(void)closedir(directory);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void kill_all(const char *path)
{
	char file[4096];

	if (snprintf(file, sizeof(file), "%s/cgroup.kill", path) >= (int)sizeof(file))
		return;
	autoclose int fd = open(file, O_WRONLY | O_CLOEXEC); /* 5.14 */
	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

/* A killed process leaves its group a moment later, when it is reaped or its parent goes. */
int remove_cgroup(const char *path)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	kill_all(path);
	for (int i = 0; i < TRIES; i++) {
		remove_groups(AT_FDCWD, path, 0);
		if (access(path, F_OK) < 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	errno = EBUSY;
	return -1;
}

int step_remove_cgroup(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	return remove_cgroup(record->words[1]) < 0 ? fail(report, "rmdir") : 0;
}
