/* The client's own terminal: raw mode, size, and the keys that detach from it. */
#include "relay.h"

#include <endian.h>
#include <sys/ioctl.h>

/*
 * In the background this stops us with SIGTTOU, as it does every program that wants the terminal
 * for itself. After SIGSTOP, of which we hear only the end, the mode may be another's: set it again.
 */
void tty_raw(struct tty *tty)
{
	if (!tty->raw && tcgetattr(STDIN_FILENO, &tty->saved) < 0)
		return;
	struct termios raw = tty->saved;
	cfmakeraw(&raw);
	if (tty->adds_returns)
		raw.c_oflag = tty->saved.c_oflag;
	tty->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Whatever else happens; so it does not stop in the background. */
void tty_restore(struct tty *tty)
{
	sigset_t stop, before;

	if (!tty->raw)
		return;
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &stop, &before);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &tty->saved);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	tty->raw = false;
}

bool tty_size(uint16_t size[2])
{
	static const int streams[] = {STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO};
	struct winsize window;

	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
		if (ioctl(streams[i], TIOCGWINSZ, &window) < 0)
			continue;
		size[0] = htole16(window.ws_row);
		size[1] = htole16(window.ws_col);
		return true;
	}
	return false;
}

size_t detach_release(struct detach *detach, char *out)
{
	size_t held = detach->held;
	if (held > 0)
		memcpy(out, detach->keys, held);
	detach->held = 0;
	return held;
}

/* The key goes on with what is held, or with the longest end of it that begins the keys again. */
static size_t hold_key(struct detach *detach, unsigned char key, char *out)
{
	size_t kept = detach->held, written = 0;

	while (detach->keys[kept] != key ||
	       memcmp(detach->keys, detach->keys + detach->held - kept, kept) != 0) {
		if (kept == 0) {
			written = detach_release(detach, out);
			out[written++] = (char)key;
			return written;
		}
		kept--;
	}
	written = detach->held - kept;
	memcpy(out, detach->keys, written);
	detach->held = kept + 1;
	return written;
}

size_t detach_filter(struct detach *detach, const char *in, size_t length, char *out,
		     bool *detached)
{
	size_t written = 0;

	for (size_t i = 0; i < length && detach->held < detach->count; i++)
		written += hold_key(detach, (unsigned char)in[i], out + written);
	*detached = detach->held == detach->count;
	return written;
}
