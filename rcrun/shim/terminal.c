/* The container's terminal: made in its own devpts, so that its name means something inside. */

#include "shim.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

enum { DEVPTS_MAGIC = 0x1cd1, TREE_CLONE = 1, TREE_EMPTY = 0x1000 };

/* A container that runs may have put anything at /dev/pts. */
static int open_master(int root, struct report *report)
{
	struct statfs where;
	struct stat status;
	autoclose int master = open_inside(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);

	if (master < 0)
		return fail(report, "openat2");
	TRY(report, fstatfs(master, &where));
	TRY(report, fstat(master, &status));
	if (where.f_type != DEVPTS_MAGIC || !S_ISCHR(status.st_mode) ||
	    status.st_rdev != makedev(5, 2))
		return fail_with(report, "openat2", ENODEV);
	return steal_fd(&master);
}

static int bind_console(int root, int slave, struct report *report)
{
	autoclose int target = make_inside(root, "/dev/console", false, 0600);
	if (target < 0)
		return fail(report, "openat2");
	autoclose int tree = sys_open_tree(slave, "", O_CLOEXEC | TREE_CLONE | TREE_EMPTY);
	if (tree < 0)
		return fail(report, "open_tree");
	TRY(report, sys_move_mount(tree, target));
	return 0;
}

int step_console(struct context *context, const struct record *record, struct report *report)
{
	int unlocked = 0;
	autoclose int own_root = context->root < 0 ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
						   : -1;
	int root = context->root < 0 ? own_root : context->root;

	(void)record;
	autoclose int master = open_master(root, report);
	if (master < 0)
		return -1;
	TRY(report, ioctl(master, TIOCSPTLCK, &unlocked));
	context->console = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (context->console < 0)
		return fail(report, "ioctl");
	TRY(report, sync_send(context->sync, SYNC_CONSOLE, 0, master, NULL));
	return context->root < 0 || context->pivoted ? 0
						     : bind_console(root, context->console, report);
}

/* As runc hands terminals over: whoever shows the output has a terminal of his own that adds the carriage returns. */
void terminal_plain(int terminal)
{
	struct termios mode;

	if (tcgetattr(terminal, &mode) == 0) {
		mode.c_oflag &= ~(tcflag_t)ONLCR;
		(void)tcsetattr(terminal, TCSANOW, &mode);
	}
}
