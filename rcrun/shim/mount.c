/* Steps that mount. Every destination is a descriptor that inside.c resolved beneath the root. */

#include "mount.h"
#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum { PROC_MAGIC = 0x9fa0, SYSFS_MAGIC = 0x62656572 };
enum { DATA_SIZE = 4096 }; /* the kernel reads one page */

static int destination(const struct context *context, const struct record *record, int word,
		       bool directory, struct report *report)
{
	int fd = make_inside(context->root, record->words[word], directory,
			     directory ? 0755 : 0644);

	if (fd < 0) {
		report->word = word;
		(void)fail(report, directory ? "mkdirat" : "openat2");
	}
	return fd;
}

/* After a mount on DEST. */
static int mounted_on(struct context *context, const char *path, struct report *report)
{
	return path[strspn(path, "/")] ? 0 : reopen_root(context, report);
}

/*
 * procfs and sysfs are mounted where their name says and nowhere else: by that name masked and read-only paths are
 * looked for, sysctls and labels are written.
 */
static int plain_destination(const struct context *context, const struct record *record, int word,
			     struct report *report)
{
	int fd = make_plain_inside(context->root, record->words[word]);

	if (fd < 0) {
		report->word = word;
		(void)fail(report, "openat2");
	}
	return fd;
}

static bool shows_the_kernel(int tree)
{
	struct statfs where;

	return fstatfs(tree, &where) == 0 &&
	       (where.f_type == PROC_MAGIC || where.f_type == SYSFS_MAGIC);
}

/* A tmpfs keeps the mode of the directory that it covers, unless the plan says one. */
static const char *tmpfs_data(const struct context *context, const struct record *record,
			      char data[DATA_SIZE])
{
	const char *given = record->words[5];
	struct stat status;

	if (strcmp(record->words[1], "tmpfs") != 0 || strstr(given, "mode="))
		return given;
	autoclose int there = open_inside(context->root, record->words[3], O_PATH | O_DIRECTORY);
	if (there < 0 || fstat(there, &status) < 0)
		return given;
	int length = snprintf(data, DATA_SIZE, "%s%smode=%o", given, *given ? "," : "",
			      status.st_mode & 07777);
	return length < DATA_SIZE ? data : given;
}

int step_mount(struct context *context, const struct record *record, struct report *report)
{
	const char *type = record->words[1];
	struct mount_flags flags;
	char path[32], buffer[DATA_SIZE];

	if (mount_flags(record, 4, &flags, report) < 0)
		return -1;
	const char *data = tmpfs_data(context, record, buffer);
	bool plain = strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0;
	autoclose int target = plain ? plain_destination(context, record, 3, report)
				     : destination(context, record, 3, true, report);
	if (target < 0)
		return -1;
	fd_path(target, path);
	report->word = 3;
	TRY(report, mount(record->words[2], path, type, flags.classic, *data ? data : NULL));
	report->word = 0;
	return mounted_on(context, record->words[3], report);
}

/* What the options say of the directory itself wins over what it covers. */
static int apply_given(int tmpfs, const struct stat *mounted, const char *data)
{
	uid_t uid = strstr(data, "uid=") ? mounted->st_uid : (uid_t)-1;
	gid_t gid = strstr(data, "gid=") ? mounted->st_gid : (gid_t)-1;

	if (fchown(tmpfs, uid, gid) < 0)
		return -1;
	return strstr(data, "mode=") ? fchmod(tmpfs, mounted->st_mode & 07777) : 0;
}

int step_tmpfs_copyup(struct context *context, const struct record *record, struct report *report)
{
	struct mount_flags flags;
	struct stat mounted;
	char path[32];

	if (mount_flags(record, 2, &flags, report) < 0)
		return -1;
	autoclose int old = destination(context, record, 1, true, report);
	if (old < 0)
		return -1;
	autoclose int source = openat(old, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source < 0)
		return fail(report, "openat");
	fd_path(old, path);
	TRY(report, mount("tmpfs", path, "tmpfs", flags.classic & ~(unsigned long)MS_RDONLY,
			  record->words[3]));
	if (mounted_on(context, record->words[1], report) < 0)
		return -1;
	autoclose int new = open_inside(context->root, record->words[1], O_RDONLY | O_DIRECTORY);
	if (new < 0)
		return fail(report, "openat2");
	TRY(report, fstat(new, &mounted));
	TRY(report, copy_tree(source, new));
	TRY(report, apply_given(new, &mounted, record->words[3]));
	if (flags.classic & MS_RDONLY)
		TRY(report, sys_mount_setattr(new, false, ATTR_RDONLY, 0, 0));
	return 0;
}

static int bind_source(const struct record *record, const struct mount_flags *flags)
{
	unsigned how = O_CLOEXEC | TREE_CLONE | (flags->recursive ? TREE_RECURSIVE : 0) |
		       (flags->nofollow ? TREE_NOFOLLOW : 0);
	int tree = sys_open_tree(AT_FDCWD, record->words[1], how);

	if (tree < 0 && errno == ENOENT && record->count > 4)
		tree = sys_open_tree(AT_FDCWD, record->words[4], how);
	return tree;
}

static bool is_link(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

/* The link itself, not what it leads to: a link that says the same inside. */
static int copy_link(const struct context *context, const struct record *record,
		     struct report *report)
{
	char target[PATH_MAX], there[PATH_MAX], name[256];
	ssize_t length = readlink(record->words[1], target, sizeof(target) - 1);

	if (length < 0)
		return fail(report, "readlink");
	target[length] = '\0';
	report->word = 2;
	autoclose int parent = parent_inside(context->root, record->words[2], name);
	if (parent < 0)
		return fail(report, "mkdirat");
	if (symlinkat(target, parent, name) < 0) {
		int error = errno;
		if (error != EEXIST || readlinkat(parent, name, there, sizeof(there)) != length ||
		    memcmp(target, there, (size_t)length) != 0)
			return fail_with(report, "symlinkat", error);
	}
	report->word = 0;
	return 0;
}

/* Where the tree goes. What shows the kernel has one place; so has a link that is mounted on instead of followed. */
static int bind_target(const struct context *context, const struct record *record, int word,
		       const struct mount_flags *flags, int tree, struct report *report)
{
	const char *path = record->words[word];
	struct stat status;
	int target;

	if (fstat(tree, &status) < 0)
		return fail(report, "fstat");
	bool directory = S_ISDIR(status.st_mode);
	if (flags->nocreate)
		target = open_inside(context->root, path, O_PATH);
	else if (directory && shows_the_kernel(tree))
		return plain_destination(context, record, word, report);
	else if (!flags->plain_end)
		return destination(context, record, word, directory, report);
	else
		target = make_unfollowed(context->root, path, directory, directory ? 0755 : 0644);
	if (target < 0) {
		report->word = word;
		return fail(report, "openat2");
	}
	/* links of procfs lead out of the container: a mount on one would hide or fake another process's */
	if (flags->plain_end && fstat(target, &status) == 0 && S_ISLNK(status.st_mode) &&
	    shows_the_kernel(target)) {
		(void)close(target);
		report->word = word;
		return fail_with(report, "openat2", ELOOP);
	}
	return target;
}

static int place_tree(const struct context *context, const struct record *record, int word,
		      const struct mount_flags *flags, int tree, struct report *report)
{
	autoclose int target = bind_target(context, record, word, flags, tree, report);

	if (target < 0)
		return -1;
	report->word = word;
	TRY(report, sys_move_mount(tree, target));
	report->word = 0;
	/* an older kernel changes only what is attached; nobody but us is in this namespace yet */
	return set_attributes(tree, flags, report);
}

int step_bind(struct context *context, const struct record *record, struct report *report)
{
	struct mount_flags flags;

	if (mount_flags(record, 3, &flags, report) < 0)
		return -1;
	if (flags.copy_link && is_link(record->words[1]))
		return copy_link(context, record, report);
	autoclose int tree = bind_source(record, &flags);
	if (tree < 0 && errno == ENOENT && flags.optional)
		return 0;
	report->word = 1;
	if (tree < 0)
		return fail(report, "open_tree");
	report->word = 0;
	if (place_tree(context, record, 2, &flags, tree, report) < 0)
		return -1;
	return mounted_on(context, record->words[2], report);
}

/* A tree that was made outside, for what only the host's root may do to one. */
int step_bind_fd(struct context *context, const struct record *record, struct report *report)
{
	struct mount_flags flags;
	autoclose int tree = (int)number(record->words[1]);

	if (mount_flags(record, 4, &flags, report) < 0)
		return -1;
	if (place_tree(context, record, 3, &flags, tree, report) < 0)
		return -1;
	return mounted_on(context, record->words[3], report);
}

/*
 * What is mounted there already: its file system as well, or, with `bind`, this mount alone. Neither touches what the
 * flags do not speak of, but for the attributes of a file system's own mount, which remount(2) sets as a whole.
 */
int step_remount(struct context *context, const struct record *record, struct report *report)
{
	struct mount_flags flags;
	char path[32];

	if (mount_flags(record, 2, &flags, report) < 0)
		return -1;
	report->word = 1;
	autoclose int target = open_inside(context->root, record->words[1], O_PATH);
	if (target < 0)
		return fail(report, "openat2");
	if (flags.bind) {
		if (set_attributes(target, &flags, report) < 0)
			return -1;
	} else {
		fd_path(target, path);
		TRY(report, mount(NULL, path, NULL, MS_REMOUNT | flags.classic,
				  *record->words[3] ? record->words[3] : NULL));
	}
	report->word = 0;
	return 0;
}

int step_mount_propagation(struct context *context, const struct record *record,
			   struct report *report)
{
	bool recursive;
	uint64_t flag = propagation_of(record->words[2], &recursive);

	if (!flag)
		return fail_with(report, "propagation", EINVAL);
	autoclose int target = open_inside(context->root, record->words[1], O_PATH);
	if (target < 0)
		return fail(report, "openat2");
	TRY(report, sys_mount_setattr(target, recursive, 0, 0, flag));
	return 0;
}

/* A user namespace may not make device nodes: the host's is bound instead, after a look at what it is. */
static int bind_device(const struct context *context, const struct record *record, mode_t type,
		       dev_t number_, struct report *report)
{
	const char *source = record->count > 8 ? record->words[8] : record->words[1];
	struct stat status;

	report->word = record->count > 8 ? 8 : 1;
	autoclose int tree = sys_open_tree(AT_FDCWD, source, O_CLOEXEC | TREE_CLONE);
	if (tree < 0)
		return fail(report, "open_tree");
	TRY(report, fstat(tree, &status));
	if ((status.st_mode & S_IFMT) != type || status.st_rdev != number_)
		return fail_with(report, "open_tree", ENODEV);
	report->word = 0;
	autoclose int target = destination(context, record, 1, false, report);
	if (target < 0)
		return -1;
	TRY(report, sys_move_mount(tree, target));
	return 0;
}

/* On a mount that opens no devices: the node becomes a mount of its own, which does. */
static int mount_on_itself(int parent, const char *name, struct report *report)
{
	autoclose int tree = sys_open_tree(parent, name, O_CLOEXEC | TREE_CLONE | TREE_NOFOLLOW);
	autoclose int node = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (tree < 0 || node < 0)
		return fail(report, "open_tree");
	TRY(report, sys_move_mount(tree, node));
	TRY(report, sys_mount_setattr(tree, false, 0, ATTR_NODEV, 0));
	return 0;
}

/*
 * What has the name of a device already: 1: the node that is wanted, 0: something that a node can be bound on, as a run
 * in a user namespace leaves it; -1: another node, which is the image's to have and not ours to hide (config-linux.md).
 */
static int compare_node(int parent, const char *name, mode_t type, dev_t device)
{
	struct stat status;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if ((status.st_mode & S_IFMT) == type && (type == S_IFIFO || status.st_rdev == device))
		return 1;
	return S_ISREG(status.st_mode) || S_ISLNK(status.st_mode) ? 0 : -1;
}

static mode_t device_type(const char *word)
{
	switch (*word) {
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	default:
		return S_IFCHR; /* c, u */
	}
}

int step_device(struct context *context, const struct record *record, struct report *report)
{
	mode_t type = device_type(record->words[2]);
	mode_t mode = (mode_t)strtoul(record->words[5], NULL, 8);
	dev_t device = makedev((unsigned)number(record->words[3]),
			       (unsigned)number(record->words[4]));
	char name[256];

	report->word = 1;
	autoclose int parent = parent_inside(context->root, record->words[1], name);
	if (parent < 0)
		return fail(report, "mkdirat");
	report->word = 0;
	/* the step `umask` comes later; until then it is 0 */
	if (mknodat(parent, name, type | mode, type == S_IFIFO ? 0 : device) < 0) {
		if (errno != EPERM && errno != EEXIST)
			return fail(report, "mknodat");
		int there = errno == EEXIST ? compare_node(parent, name, type, device) : 0;
		if (there < 0)
			return fail_with(report, "mknodat", EEXIST);
		if (type == S_IFIFO)
			return there > 0 ? 0 : fail_with(report, "mknodat", EPERM);
		if (there > 0 && context->hosts_ids)
			return context->no_devices ? mount_on_itself(parent, name, report) : 0;
		return bind_device(context, record, type, device, report);
	}
	TRY(report, fchownat(parent, name, (uid_t)number(record->words[6]),
			     (gid_t)number(record->words[7]), AT_SYMLINK_NOFOLLOW));
	if (context->no_devices && type != S_IFIFO)
		return mount_on_itself(parent, name, report);
	return 0;
}

int step_symlink(struct context *context, const struct record *record, struct report *report)
{
	char name[256];

	report->word = 2;
	autoclose int parent = parent_inside(context->root, record->words[2], name);
	if (parent < 0)
		return fail(report, "mkdirat");
	if (symlinkat(record->words[1], parent, name) < 0 && errno != EEXIST)
		return fail(report, "symlinkat");
	report->word = 0;
	return 0;
}
