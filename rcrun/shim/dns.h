/*
 * rcrun-shim dns DIR: names of the containers of a room's networks, and the process that holds the room (dns.c).
 *
 * All of it is bounded: so many queries under way, so many connections; whoever asks too much loses the oldest of its own.
 * An IPv4 address is ::ffff:a.b.c.d everywhere in here.
 */
#pragma once

#include "shim.h"

#include <netinet/in.h>

enum {
	DNS_HEADER = 12,
	DNS_PLAIN = 512,    /* the largest UDP reply for who does not say */
	DNS_OFFERED = 1232, /* what we say that we take over UDP */
	DNS_QUERY = 1232,   /* the largest query that is understood */
	DNS_LARGEST = 65535,
	DNS_NAME = 256,    /* a name as text, with its NUL */
	DNS_SERVERS = 3,   /* as resolv.conf(5) */
	DNS_PENDING = 256, /* UDP queries that upstream has */
	DNS_SHARE = 64,    /* of these for one asker, when they are all taken */
	DNS_CLIENTS = 64,  /* TCP connections */
};

enum dns_rcode { DNS_OK, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED };

/* --- dns_names.c: a file of names, as hosts(5) ------------------------------------------------------- */

#define DNS_NONE UINT32_MAX

struct dns_entry {
	const char *name; /* lower case */
	struct in6_addr address;
	uint32_t next_name, next_address; /* in the same bucket, in the file's order */
};

/* `also ADDRESS NETWORK…`: who asks from there sees the names of that network, too. */
struct dns_also {
	struct in6_addr address;
	const char *network;
};

struct dns_names {
	char *text;
	struct dns_entry *entries;
	struct dns_also *also;
	uint32_t *by_name, *by_address; /* buckets */
	uint32_t count, also_count, mask;
};

int dns_names_parse(struct dns_names *names, char *text); /* takes the text; -1: out of memory */
void dns_names_free(struct dns_names *names);
/* The first entry of the name, or the one after `last`. */
const struct dns_entry *dns_named(const struct dns_names *names, const char *name,
				  const struct dns_entry *last);
const struct dns_entry *dns_addressed(const struct dns_names *names, const struct in6_addr *address,
				      const struct dns_entry *last);
bool dns_address(const char *text, struct in6_addr *address);
char *dns_word(char **at); /* cuts the next word of the line off; NULL: none is left */
char *dns_line(char **at); /* the same for lines */

/* --- dns_message.c ---------------------------------------------------------------------------------- */

struct dns_question {
	char name[DNS_NAME]; /* lower case, without the final dot */
	size_t end;          /* of the question in the message */
	size_t udp_size;     /* the largest UDP reply */
	uint16_t type, class;
	bool edns;
	uint8_t edns_version;
};

/* What a client sees: the names of its network, and of others that its container is in. */
struct dns_scope {
	const struct dns_names *names[8];
	size_t count;
};

/* 0: a query; -1: nothing that an answer could be given to; else the rcode of the answer. */
int dns_read(const unsigned char *message, size_t length, struct dns_question *question);
/* The answer's length; 0: the name is not ours. `turn` says which address is the first. */
size_t dns_answer(const struct dns_scope *scope, const unsigned char *query,
		  const struct dns_question *question, unsigned turn, unsigned char *reply,
		  size_t room);
size_t dns_failure(const unsigned char *query, const struct dns_question *question, int rcode,
		   unsigned char *reply);
/* Whether this answers the query under this id; the ids of both are not looked at. */
bool dns_answers(const unsigned char *reply, size_t length, const unsigned char *query,
		 size_t query_length);

static inline unsigned dns_get16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static inline void dns_put16(unsigned char *at, unsigned value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

/* --- dns_files.c: what DIR says, read again when it changed ------------------------------------------- */

struct dns_servers {
	struct sockaddr_in6 list[DNS_SERVERS];
	unsigned count;
};

struct dns_network {
	char name[256], bridge[16];
	struct in6_addr addresses[8];
	unsigned address_count,
		ifindex; /* of the bridge, once it was seen; no other will have it */
	int watch;       /* of its directory; -1: none, so its files are read each time */
	bool changed, own_servers;
	struct dns_names names;
	struct dns_servers servers; /* instead of everybody's */
};

struct dns_files {
	int dir, inotify;
	bool changed;
	struct dns_network *networks;
	unsigned count;
	struct dns_servers servers;
};

int dns_files_open(struct dns_files *files, const char *dir);
void dns_files_refresh(struct dns_files *files);
/* The network whose bridge the query came from, at this address of it; its files are fresh. NULL: none. */
struct dns_network *dns_network_at(struct dns_files *files, unsigned ifindex,
				   const struct in6_addr *local);
struct dns_scope dns_scope_of(struct dns_files *files, struct dns_network *network,
			      const struct in6_addr *asker);

/* --- dns_forward.c, dns_tcp.c, dns.c ------------------------------------------------------------------- */

struct dns_asker {
	struct sockaddr_in6 peer;
	struct in6_addr local;
	unsigned ifindex;
};

struct dns_pending {
	bool used;
	int fds[DNS_SERVERS]; /* one for each server asked */
	unsigned tries, order[DNS_SERVERS];
	uint16_t id, client_id;  /* the client's as it came */
	uint64_t started, again; /* ms */
	struct dns_asker asker;
	struct dns_servers servers;
	size_t length;
	unsigned char query[DNS_QUERY];
};

enum dns_state { DNS_FREE, DNS_READING, DNS_ASKING, DNS_RELAYING };

struct dns_client {
	enum dns_state state;
	int fd, upstream;
	struct dns_asker asker;
	struct dns_servers servers;
	unsigned server, asked;
	uint64_t deadline, touched;
	size_t length, done;        /* of what is in the buffer */
	size_t reply_left;          /* of upstream's message */
	unsigned char buffer[2048]; /* a query with its length, then pieces of the reply */
};

enum dns_source { DNS_UDP, DNS_LISTENER, DNS_CHANGES, DNS_REPLY, DNS_CLIENT, DNS_UPSTREAM };

struct dns {
	struct dns_files files;
	int epoll, udp, listener;
	bool only_ipv4;
	unsigned turn, pending_count, client_count;
	uint64_t now;                           /* ms */
	uint64_t down[DNS_SERVERS];             /* until then this server is asked last */
	struct dns_pending *pending;            /* DNS_PENDING */
	struct dns_client *clients;             /* DNS_CLIENTS */
	unsigned char message[DNS_LARGEST + 2]; /* whatever is read or made at the moment */
};

uint64_t dns_clock(void);
int dns_watch(struct dns *dns, int fd, uint32_t events, enum dns_source source, unsigned index);
void dns_send_udp(struct dns *dns, const struct dns_asker *asker, const unsigned char *message,
		  size_t length);
const struct dns_servers *dns_servers_of(const struct dns *dns, const struct dns_network *network);
/* Into dns->message, from `at`; 0: upstream must be asked; the scope is the network's and the asker's. */
size_t dns_own_answer(struct dns *dns, struct dns_network *network, const struct dns_asker *asker,
		      const unsigned char *query, const struct dns_question *question, size_t room);

void dns_forward(struct dns *dns, const struct dns_asker *asker, const struct dns_servers *servers,
		 const unsigned char *query, size_t length);
void dns_on_reply(struct dns *dns, unsigned index);
void dns_forward_clock(struct dns *dns, uint64_t *next); /* what is due; when the next is */

void dns_accept(struct dns *dns);
void dns_on_client(struct dns *dns, unsigned index, uint32_t events);
void dns_on_upstream(struct dns *dns, unsigned index, uint32_t events);
void dns_tcp_clock(struct dns *dns, uint64_t *next);
