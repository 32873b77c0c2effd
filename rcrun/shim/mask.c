/* Steps that cover what is there: masked and read-only paths. */

#include "mount.h"
#include "shim.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A mount on what the descriptor shows, of what it shows: read-only ever after. */
int step_readonly(struct context *context, const struct record *record, struct report *report)
{
	autoclose int target = open_inside(context->root, record->words[1], O_PATH);

	if (target < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(report, "openat2");
	autoclose int tree = sys_open_tree(target, "",
					   O_CLOEXEC | TREE_CLONE | TREE_RECURSIVE | TREE_EMPTY);
	if (tree < 0)
		return fail(report, "open_tree");
	TRY(report, sys_move_mount(tree, target));
	TRY(report, sys_mount_setattr(tree, false, ATTR_RDONLY, 0, 0));
	return 0;
}

/* /dev/null of the host: whatever the image has at /dev/null is not trusted. */
static int mask_file(int target, struct report *report)
{
	struct stat status;
	autoclose int tree = sys_open_tree(AT_FDCWD, "/dev/null", O_CLOEXEC | TREE_CLONE);

	if (tree < 0)
		return fail(report, "open_tree");
	TRY(report, fstat(tree, &status));
	if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
		return fail_with(report, "open_tree", ENODEV);
	TRY(report, sys_move_mount(tree, target));
	return 0;
}

/* One empty file system for all: each would cost the kernel a superblock. */
static int cover(const struct context *context, int target, struct report *report)
{
	autoclose int tree = sys_open_tree(context->empty, "", O_CLOEXEC | TREE_CLONE | TREE_EMPTY);

	if (tree < 0)
		return fail(report, "open_tree");
	TRY(report, sys_move_mount(tree, target));
	return 0;
}

int step_mask(struct context *context, const struct record *record, struct report *report)
{
	struct stat status;
	char path[32];

	autoclose int target = open_inside(context->root, record->words[1], O_PATH);
	if (target < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(report, "openat2");
	TRY(report, fstat(target, &status));
	if (!S_ISDIR(status.st_mode))
		return mask_file(target, report);
	if (context->empty >= 0)
		return cover(context, target, report);
	fd_path(target, path);
	TRY(report,
	    mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k"));
	context->empty = open_inside(context->root, record->words[1], O_PATH);
	return context->empty < 0 ? fail(report, "openat2") : 0;
}
