/* Steps that make the root and make it the root. */

#include "mount.h"
#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>

uint64_t propagation_of(const char *word, bool *recursive)
{
	static const struct {
		const char *word;
		uint64_t flag;
	} known[] = {{"private", MS_PRIVATE},
		     {"slave", MS_SLAVE},
		     {"shared", MS_SHARED},
		     {"unbindable", MS_UNBINDABLE}};

	for (int pass = 0; pass < 2; pass++) {
		*recursive = pass == 1;
		for (size_t i = 0; i < 4 && (!pass || *word == 'r'); i++)
			if (strcmp(word + pass, known[i].word) == 0)
				return known[i].flag;
	}
	return 0;
}

int step_propagation(struct context *context, const struct record *record, struct report *report)
{
	bool recursive;
	uint64_t flag = propagation_of(record->words[1], &recursive);

	(void)context;
	if (!flag)
		return fail_with(report, "propagation", EINVAL);
	TRY(report, mount(NULL, "/", NULL, flag | (recursive ? MS_REC : 0), NULL));
	return 0;
}

/* The root is opened by path once more: the descriptor from before the mount shows what is beneath it. */
static int open_root(struct context *context, const char *path, struct report *report)
{
	context->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	context->root_path = path;
	return context->root < 0 ? fail(report, "open") : 0;
}

/* Something was mounted on the root itself: that is the root from now on. */
int reopen_root(struct context *context, struct report *report)
{
	autoclose int old = context->root;

	return old < 0 || !context->root_path ? fail_with(report, "open", EINVAL)
					      : open_root(context, context->root_path, report);
}

int step_root_bind(struct context *context, const struct record *record, struct report *report)
{
	const char *path = record->words[1];

	report->word = 1;
	TRY(report, mount(path, path, NULL, MS_BIND | MS_REC, NULL));
	/* pivot_root(2) wants no shared mount; a slave of the host's is private to the host already */
	TRY(report, mount(NULL, path, NULL, MS_PRIVATE, NULL));
	report->word = 0;
	return open_root(context, path, report);
}

/*
 * A tree that whoever started the shim holds: where it lies we may have no right to look. It is mounted over a directory
 * that everybody may enter, of which this namespace needs no other sight.
 */
int step_root_fd(struct context *context, const struct record *record, struct report *report)
{
	autoclose int tree = (int)number(record->words[1]);
	autoclose int place = open(record->words[2], O_PATH | O_DIRECTORY | O_CLOEXEC);

	report->word = 2;
	if (place < 0)
		return fail(report, "open");
	TRY(report, sys_move_mount(tree, place));
	report->word = 0;
	return open_root(context, record->words[2], report);
}

enum { MOST_DIRS = 256 };

/* Options for mount(2), and the descriptors that they name. */
struct overlay {
	char options[4096];
	size_t used;
	int fds[MOST_DIRS];
	int count;
};

__attribute__((format(printf, 2, 3))) static int append(struct overlay *overlay, const char *format,
							...)
{
	va_list arguments;
	size_t room = sizeof(overlay->options) - overlay->used;

	va_start(arguments, format);
	int length = vsnprintf(overlay->options + overlay->used, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room) {
		errno = E2BIG;
		return -1;
	}
	overlay->used += (size_t)length;
	return 0;
}

/*
 * Layers are named by descriptor: neither the page that mount options may fill nor a comma or colon in a path
 * limits them.
 */
static int append_dir(struct overlay *overlay, const char *before, const struct record *record,
		      int word, struct report *report)
{
	int fd = open(record->words[word], O_PATH | O_DIRECTORY | O_CLOEXEC);

	report->word = word;
	if (fd < 0)
		return fail(report, "open");
	if (overlay->count == MOST_DIRS)
		return fail_with(report, "mount", E2BIG);
	overlay->fds[overlay->count++] = fd;
	report->word = 0;
	TRY(report, append(overlay, "%s/proc/self/fd/%d", before, fd));
	return 0;
}

static int mount_overlay(struct overlay *overlay, const struct record *record,
			 struct report *report)
{
	const char *upper = record->words[1], *options = record->words[3];

	TRY(report, append(overlay, "%s%s", options, *options ? "," : ""));
	for (int i = 4; i < record->count; i++)
		if (append_dir(overlay, i == 4 ? "lowerdir=" : ":", record, i, report) < 0)
			return -1;
	if (*upper && (append_dir(overlay, ",upperdir=", record, 1, report) < 0 ||
		       append_dir(overlay, ",workdir=", record, 2, report) < 0))
		return -1;
	/* over its own top lower: this namespace needs no other sight of that directory */
	TRY(report, mount("overlay", record->words[4], "overlay", 0, overlay->options));
	return 0;
}

/* An overlay has two layers at least. Without an upper directory nobody writes, as in one. */
static int bind_lower(struct context *context, const char *path, struct report *report)
{
	report->word = 4;
	TRY(report, mount(path, path, NULL, MS_BIND, NULL));
	TRY(report, mount(NULL, path, NULL, MS_PRIVATE, NULL));
	if (open_root(context, path, report) < 0)
		return -1;
	TRY(report, sys_mount_setattr(context->root, false, ATTR_RDONLY, 0, 0));
	report->word = 0;
	return 0;
}

int step_root_overlay(struct context *context, const struct record *record, struct report *report)
{
	static struct overlay overlay;

	if (!*record->words[1] && record->count == 5)
		return bind_lower(context, record->words[4], report);
	overlay.used = 0;
	overlay.count = 0;
	int result = mount_overlay(&overlay, record, report);
	/* before anything of the container is looked at: these lead to the host */
	for (int i = 0; i < overlay.count; i++)
		(void)close(overlay.fds[i]);
	return result < 0 ? -1 : open_root(context, record->words[4], report);
}

/*
 * The program that serves the mount looks its own files up by path. It stays behind in the mount namespace that it knows,
 * and we go on in a copy: in ours its root would become the very mount that it serves, and it would wait for itself.
 */
int step_root_fuse(struct context *context, const struct record *record, struct report *report)
{
	struct child child = {.argv = record->words + 2, .ready_fd = -1, .timeout_seconds = 60};
	int status = child_run(&child, report);

	if (status < 0)
		return -1;
	if (status > 0) {
		report->child_status = status;
		return fail_with(report, "fuse-overlayfs", EIO);
	}
	TRY(report, unshare(CLONE_NEWNS));
	return open_root(context, record->words[1], report);
}

/*
 * Where no cgroup holds a container back, a mount does: whatever node is in the image, or is made by the container's
 * root, cannot be opened. Those that it may have are mounts of their own (step_device).
 */
int step_root_nodev(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	if (sys_mount_setattr(context->root, true, ATTR_NODEV, 0, 0) < 0) {
		if (errno != ENOSYS)
			return fail(report, "mount_setattr");
		TRY(report, sys_mount_setattr(context->root, false, ATTR_NODEV, 0, 0));
	}
	context->no_devices = true;
	return 0;
}

int step_pivot(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	autoclose int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return fail(report, "open");
	TRY(report, fchdir(context->root));
	/* the old root lies on top of the new one, where it can be let go without a directory for it */
	TRY(report, syscall(SYS_pivot_root, ".", "."));
	/* the directory that we are in is still the new one: what mounts there share is the plan's to say */
	TRY(report, fchdir(old));
	TRY(report, mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL));
	TRY(report, umount2(".", MNT_DETACH));
	TRY(report, chdir("/"));
	context->pivoted = true;
	return 0;
}

/* Paths in mountinfo have spaces and the like as three octal digits. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		if (*from == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* The path of a procfs or sysfs that is not the container's, or NULL. Changes the line. */
static char *hosts_view(char *line, const char *root)
{
	char *type = strstr(line, " - "), *path = line;
	size_t length = strlen(root);

	for (int field = 1; path && field < 5; field++)
		if ((path = strchr(path, ' ')))
			path++;
	if (!type || !path || path > type)
		return NULL;
	if (strncmp(type, " - proc ", 8) != 0 && strncmp(type, " - sysfs ", 9) != 0)
		return NULL;
	path[strcspn(path, " ")] = '\0';
	unescape(path);
	bool inside = strncmp(path, root, length) == 0 && (path[length] == '/' || !path[length]);
	return inside ? NULL : path;
}

/*
 * Without pivot_root what was mounted before stays, beneath the root and out of reach. As long as there is a whole
 * procfs or sysfs among it, the kernel lets a user namespace inside mount a new one, without what is masked.
 */
static int hide_the_kernel(const struct context *context, struct report *report)
{
	static char mounts[1 << 20];
	char root[PATH_MAX], link[32], *rest = mounts, *line;
	size_t used = 0;
	ssize_t got;

	fd_path(context->root, link);
	ssize_t length = readlink(link, root, sizeof(root) - 1);
	autoclose int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (length < 0 || fd < 0)
		return fail(report, "open");
	root[length] = '\0';
	while ((got = TEMP_FAILURE_RETRY(read(fd, mounts + used, sizeof(mounts) - 1 - used))) > 0)
		used += (size_t)got;
	if (got < 0 || used == sizeof(mounts) - 1)
		return fail_with(report, "read", got < 0 ? errno : E2BIG);
	while ((line = strsep(&rest, "\n"))) {
		const char *path = hosts_view(line, root);

		if (!path || umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == ENOENT)
			continue;
		/* it came along from a namespace of more rights: covered it is as good as gone */
		TRY(report, mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k"));
	}
	return 0;
}

int step_move_root(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	if (hide_the_kernel(context, report) < 0)
		return -1;
	TRY(report, fchdir(context->root));
	TRY(report, mount(".", "/", NULL, MS_MOVE, NULL));
	TRY(report, chroot("."));
	TRY(report, chdir("/"));
	context->pivoted = true;
	return 0;
}

int step_root_readonly(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	TRY(report, sys_mount_setattr(context->root, false, ATTR_RDONLY, 0, 0));
	return 0;
}

int step_root_propagation(struct context *context, const struct record *record,
			  struct report *report)
{
	bool recursive;
	uint64_t flag = propagation_of(record->words[1], &recursive);

	if (!flag)
		return fail_with(report, "propagation", EINVAL);
	TRY(report, sys_mount_setattr(context->root, recursive, 0, 0, flag));
	return 0;
}
