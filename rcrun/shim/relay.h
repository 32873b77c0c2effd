/*
 * The relay: what the monitor does while the container runs (monitor.c, peers.c, logfile.c), and the
 * attach client that a foreground run, exec or attach becomes (client.c, keyboard.c). docs/plan.md,
 * "The attach socket", is what the two say to each other.
 */
#pragma once

#include "shim.h"

#include <poll.h>
#include <signal.h>
#include <termios.h>

enum packet_kind {
	PACKET_HELLO = 'H',
	PACKET_INPUT = 'I',
	PACKET_SIZE = 'W',
	PACKET_SIGNAL = 'S',
	PACKET_OUTPUT = 'O',
	PACKET_ERROR = 'E',
	PACKET_TAKEN = 'A', /* the container took the input: send more */
	PACKET_REPORT = 'R',
	PACKET_LAUNCHED = 'P',
	PACKET_ENDED = 'X',
};

enum client_flag { CLIENT_IN = 1, CLIENT_OUT = 2, CLIENT_ERR = 4 };

enum {
	/* The largest packet, kind byte included: what is piped through arrives in whole blocks, as dd wants them. */
	RELAY_PACKET = 16384 + 1,
	/* Further clients wait in the listen queue until one leaves. */
	RELAY_CLIENTS = 32,
	DETACH_KEYS_MAX = 32,
};

/* --- logfile.c ----------------------------------------------------------------------------------- */

enum { STAMP = sizeof "2026-11-23T08:00:00.123456789Z" - 1 };

char *put_stamp(char *at); /* the time now; returns its end */

struct logfile {
	const char *path; /* NULL or empty: no log */
	const char *json; /* docker's format, with this object as `attrs` ("": none); NULL: ours */
	char **rotated;   /* a program to run after each rotation, and its words; NULL: none */
	char held[2][4];  /* of each stream: the beginning of a character, not written yet … */
	unsigned char held_length[2]; /* … and its bytes */
	uint64_t max_bytes;           /* rotate before it grows over this; 0: never */
	unsigned max_files;           /* PATH and its rotated ones together; 0 and 1: PATH alone */
	int fd;
	uint64_t size;
	uint64_t dropped; /* bytes of output that could not be written */
};

int logfile_open(struct logfile *log); /* -1: errno. Without a path nothing happens. */
void logfile_write(struct logfile *log, const char *stream, const char *text, size_t length);
void logfile_close(struct logfile *log);

/* --- logjson.c: docker's format ------------------------------------------------------------------- */

/* At most so many bytes of JSON stand for one byte of text. */
enum { JSON_EXPANSION = 6 };

/* Text as the inside of a JSON string; what is no UTF-8 becomes U+FFFD. Returns the end in `to`. */
char *json_escape(char *to, const char *text, size_t length);
/* How many bytes at the end of a text begin a character that goes on in the next one. */
size_t json_unfinished(const char *text, size_t length);

/* --- journal.c: systemd's journal ----------------------------------------------------------------- */

struct journal {
	char **fields; /* NAME=VALUE, up to NULL; NULL: no journal */
	const char *path;
	uint64_t buffer; /* bytes that may wait, then output is dropped; 0: the container waits */
	int fd;
	uint64_t dropped;
};

int journal_open(struct journal *journal); /* -1: errno. Without fields nothing happens. */
void journal_write(struct journal *journal, bool error, const char *text, size_t length);
void journal_close(struct journal *journal);

/* --- monitor.c ----------------------------------------------------------------------------------- */

/* What others want to be polled: an epoll set of checks, memory.events, the socket of a service's readiness. */
enum watch { WATCH_HEALTH, WATCH_MEMORY, WATCH_NOTIFY, WATCHES };

struct relay;
struct relay_watch {
	int fd; /* -1: none */
	short events;
	void (*ready)(struct relay *relay);
};

enum { SLOT_SIGNALS, SLOT_LISTENER, SLOT_OUT, SLOT_ERR, SLOT_IN, SLOT_WATCH };
enum { SLOT_CLIENT = SLOT_WATCH + WATCHES };
enum { SLOT_COUNT = SLOT_CLIENT + RELAY_CLIENTS };

/* What a client did not take yet. */
enum debt { OWES_OUT = 1, OWES_ERR = 2, OWES_LAUNCHED = 4, OWES_TAKEN = 8 };

struct relay_client {
	int fd;              /* -1: a free place */
	unsigned char flags; /* enum client_flag, from its hello */
	unsigned char owed;  /* enum debt */
	bool greeted, first, deaf;
	bool held; /* its next packet is input, for which there is no room yet */
};

/* A stream of the container, with the packet that its readers are about to get. */
struct relay_stream {
	const char *name;   /* in the log */
	char kind;          /* of its packets */
	unsigned char flag; /* of the clients that ask for it */
	unsigned char debt; /* of those that did not take the packet … */
	unsigned owing;     /* … and how many they are; nothing is read meanwhile */
	int fd;             /* -1: none, or it ended */
	size_t after;       /* bytes that came after the end of the init */
	size_t length;      /* of the packet */
	char *packet;
};

/*
 * One for a process, in .bss: its buffers cost nothing until they are used. Call relay_init(), set
 * the upper part, then call relay_signals() before the container is cloned.
 */
struct relay {
	int terminal;     /* pseudo-terminal master, -1: none */
	int in, out, err; /* our ends of the container's pipes, -1: none */
	int listener;     /* listening attach socket, -1: none */
	int first_client; /* our end of the foreground client's pair, -1: none */
	pid_t child;      /* the init, a child of ours */
	struct relay_watch watches[WATCHES];
	void *owner; /* for those who are told */
	void (*reaped)(struct relay *relay, pid_t pid,
		       int status);         /* of every child but the init */
	void (*asked)(struct relay *relay); /* by SIGUSR1 */
	bool forward_signals; /* all of them; else SIGTERM alone, and HUP INT QUIT do nothing */
	struct logfile log;
	struct journal journal;

	int signal_fd;
	int peer;         /* the terminal's other end, held open */
	bool ended;       /* the init was reaped */
	bool told_to_end; /* we, by whoever ends sessions and hosts … */
	bool stopped;     /* … or the init, by a client */
	bool accepting;   /* false after accept() failed, until a client leaves */
	bool input_once;  /* the input ends with a client's, as the foreground client brought it */
	bool input_ends;  /* after what is held */
	int status;       /* wait status of the init */
	pid_t launched;   /* what P said, 0 before */
	long long deadline; /* after the end: when clients that take nothing are left behind */
	int input_from;     /* index of the client that sent the input, -1: it left */
	size_t input_offset, input_length;
	struct relay_stream streams[2];
	struct relay_client clients[RELAY_CLIENTS];
	struct pollfd polls[SLOT_COUNT];
	char input[RELAY_PACKET], packets[2][RELAY_PACKET];
};

void relay_init(struct relay *relay);

/*
 * Block every signal and make the signalfd. `before`, if not NULL, gets the mask that was: restore
 * it (or an empty one) in children. Call it before the clone, or a SIGCHLD may be lost.
 */
int relay_signals(struct relay *relay, sigset_t *before);

void oom_watch(const struct plan *plan, struct relay *relay); /* cgroup.c */

/*
 * Poll until the init ended and what it wrote is delivered; close its streams and the log. Returns
 * its wait status. May run before the launch is complete (state `created`): a watch tells of the rest.
 */
int relay_run(struct relay *relay);

/* Tell P, now and to every client to come. */
void relay_launched(struct relay *relay, pid_t pid);

/*
 * The last packet, R or X, to every client and to those in the listen queue, which are closed, as
 * the listener is. Unlink the socket before, or who connects between the two gets end of file.
 */
void relay_failed(struct relay *relay, const struct report *report);
void relay_ended(struct relay *relay, int code);

/* --- peers.c: the clients of a monitor ------------------------------------------------------------ */

enum {
	/* After the end, a client that takes nothing for so long is left behind. */
	STALL_MS = 5000,
};

long long now_ms(void);
void shut(int *fd);
int input_fd(const struct relay *relay);
void write_input(struct relay *relay);
bool clients_full(const struct relay *relay);
int accept_client(int listener); /* one of our own user; -1: errno */
void adopt_client(struct relay *relay, int fd, bool first);
void drop_client(struct relay *relay, struct relay_client *client);
void pay_client(struct relay *relay, struct relay_client *client); /* what is owed */
void owe_client(struct relay *relay, struct relay_client *client, enum debt debt);
void deliver(struct relay *relay, struct relay_stream *stream);
void on_client(struct relay *relay, struct relay_client *client, short events);
void signal_init(const struct relay *relay, int number);

/* --- keyboard.c: our own terminal ------------------------------------------------------------------ */

struct tty {
	bool raw;
	bool adds_returns; /* to newlines, since the container's terminal does not */
	struct termios saved;
};

void tty_raw(struct tty *tty); /* standard input, if it is a terminal */
void tty_restore(struct tty *tty);
bool tty_size(uint16_t size[2]); /* rows and columns, little-endian; false: there is no terminal */

/* Keys are held back while they may be the beginning of the detach keys. */
struct detach {
	const unsigned char *keys;
	size_t count, held;
	long long until; /* then they are given back */
};

enum { DETACH_MS = 1000, REDRAW_MS = 50 };

/* `out` has room for `length` and DETACH_KEYS_MAX more. Returns how much is there to be sent. */
size_t detach_filter(struct detach *detach, const char *in, size_t length, char *out,
		     bool *detached);
size_t detach_release(struct detach *detach, char *out);

/* --- client.c ------------------------------------------------------------------------------------ */

struct client_options {
	bool in, out, err;
	bool sig_proxy;    /* signals are the container's; else they act on the client */
	bool terminal;     /* the container has a terminal: raw mode, sizes, detach keys */
	bool adds_returns; /* our own terminal, before newlines */
	bool redraw;       /* what runs there is to show itself again */
	const unsigned char *detach_keys;
	size_t detach_key_count; /* 0: none; at most DETACH_KEYS_MAX */
};

/* What client_run returns instead of an exit status. */
enum {
	CLIENT_FAILED = -1,   /* the launch failed; the report came from the monitor */
	CLIENT_LOST = -2,     /* the monitor went away without an exit status */
	CLIENT_DETACHED = -3, /* by its keys */
	CLIENT_BROKEN = -4,   /* our output cannot be written, see the report; the container runs */
};

/*
 * Be the attach client on a connected socket until the container ends, and close the socket.
 * Descriptors 0, 1 and 2 must be open (on /dev/null if need be).
 */
int client_run(int socket, const struct client_options *options, struct report *report);
